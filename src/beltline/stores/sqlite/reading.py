"""Runs and held requests as pages, lists and metrics show them; nothing here takes a run."""

from __future__ import annotations

from typing import Any

import apsw

from beltline.engine.ports import NotFound
from beltline.engine.records import RunFilter, RunRecord, StoredRun
from beltline.stores.sqlite.claims import load_some, measure
from beltline.stores.sqlite.connection import snapshot

# What a `RunRecord` is made of.
RECORD = (
    "SELECT request.key, request.source, request.process, run.version_id,"
    " CASE WHEN run.key IS NULL THEN 'waiting'"
    " WHEN run.owner IS NULL OR run.status IN ('cancelled', 'stopped') THEN run.status"
    " ELSE 'moving' END, run.ready_at, request.accepted_at, run.owner IS NOT NULL,"
    " coalesce(run.crashes, 0)"
)

# Requests with their runs, the newest first, whatever their number.
ALL_RUNS = " FROM request LEFT JOIN run ON run.key = request.key"

# The stopped ones by their own index.
STOPPED_RUNS = " FROM run INDEXED BY run_stopped CROSS JOIN request ON request.key = run.key"

# How a status is asked for.
HAS_STATUS = {
    "cancelled": "run.status = 'cancelled'",
    "stopped": "run.status = 'stopped'",
    "moving": "(run.status = 'moving' OR"
    " (run.owner IS NOT NULL AND run.status NOT IN ('cancelled', 'stopped')))",
    "waiting": "(run.key IS NULL OR (run.status = 'waiting' AND run.owner IS NULL))",
    "parked": "run.status = 'parked' AND run.owner IS NULL",
    "completed": "run.status = 'completed' AND run.owner IS NULL",
}

# How many wait to be claimed, are owned, are held back, are stopped.
COUNTS = (
    "SELECT (SELECT count(*) FROM run WHERE owner IS NULL AND ready_at IS NOT NULL),"
    " (SELECT count(*) FROM run WHERE owner IS NOT NULL),"
    " (SELECT count(*) FROM held),"
    " (SELECT count(*) FROM run INDEXED BY run_stopped WHERE status = 'stopped')"
)


def run(db: apsw.Connection, key: bytes) -> tuple[RunRecord, StoredRun | None]:
    """See `Store.run`."""
    with snapshot(db):
        row = db.execute(RECORD + ALL_RUNS + " WHERE request.key = ?", (key,)).fetchone()
        if row is None:
            raise NotFound("there is no such run")
        record = run_record(row)
        return record, None if record.version_id is None else load_some(db, [measure(db, key)])[0]


def runs(db: apsw.Connection, filter: RunFilter, limit: int) -> list[RunRecord]:
    """See `Store.runs`."""
    table, order = ALL_RUNS, "request.key"
    tests: list[str] = []
    if filter.status == "stopped":
        table, order = STOPPED_RUNS, "run.key"
    if filter.status is not None:
        tests.append(HAS_STATUS[filter.status])
    values: list[Any] = []
    for test, value in (
        ("request.process = ?", filter.process),
        ("request.source = ?", filter.source),
        ("request.accepted_at >= ?", filter.since),
        ("request.accepted_at < ?", filter.until),
        (order + " < ?", filter.before),
    ):
        if value is not None:
            tests.append(test)
            values.append(value)
    where = " WHERE " + " AND ".join(tests) if tests else ""
    statement = RECORD + table + where + " ORDER BY " + order + " DESC LIMIT ?"
    return [run_record(row) for row in db.execute(statement, (*values, limit))]


def counts(db: apsw.Connection) -> dict[str, int]:
    """See `Store.counts`."""
    row = db.execute(COUNTS).fetchone()
    assert row is not None
    return dict(zip(("ready", "owned", "held", "stopped"), row, strict=True))


def run_record(row: Any) -> RunRecord:
    """The record in a row of `RECORD`."""
    key, source, process, version_id, status, ready_at, accepted_at, owned, crashes = row
    return RunRecord(
        key, source, process, version_id, status, ready_at, accepted_at, bool(owned), crashes
    )
