"""Runs and held requests as pages, lists and metrics show them; nothing here takes a run."""

from __future__ import annotations

from typing import Any

from beltline.engine.records import Message, RunFilter, RunRecord, StoredRun

# What a `RunRecord` is made of.
RECORD = (
    "SELECT request.key, request.source, request.process, run.version_id,"
    " CASE WHEN run.key IS NULL THEN 'waiting'"
    " WHEN run.owner IS NULL OR run.status IN ('cancelled', 'stopped') THEN run.status"
    " ELSE 'moving' END, run.ready_at, request.accepted_at, run.owner IS NOT NULL,"
    " coalesce(run.crashes, 0)"
)

ALL_RUNS = " FROM beltline.request LEFT JOIN beltline.any_run AS run ON run.key = request.key"

# One run, with all that its state is folded from.
ONE_RUN = (
    f"{RECORD}, request.body, request.meta,"
    " (SELECT array_agg(entry ORDER BY seq) FROM beltline.journal WHERE journal.run = $1),"
    " (SELECT array_agg(id ORDER BY id) FROM beltline.inbox WHERE inbox.run = $1),"
    " (SELECT array_agg(body ORDER BY id) FROM beltline.inbox WHERE inbox.run = $1)"
    f"{ALL_RUNS} WHERE request.key = $1"
)

_COLUMNS = "SELECT key, version_id, status, ready_at, owner, crashes FROM"

# Where the runs of each status are found, each by an index of its own.
OF_STATUS = {
    "cancelled": f"{_COLUMNS} beltline.any_run WHERE status = 'cancelled'",
    "stopped": f"{_COLUMNS} beltline.run WHERE status = 'stopped'",
    "moving": f"{_COLUMNS} beltline.run WHERE status = 'moving' UNION ALL {_COLUMNS} beltline.run"
    " WHERE owner IS NOT NULL AND status NOT IN ('cancelled', 'moving', 'stopped')",
    "waiting": f"{_COLUMNS} beltline.run WHERE status = 'waiting' AND owner IS NULL UNION ALL"
    " SELECT key, NULL, 'waiting', NULL, NULL, 0 FROM beltline.held",
    "parked": f"{_COLUMNS} beltline.run WHERE status = 'parked' AND owner IS NULL",
    "completed": f"{_COLUMNS} beltline.any_run WHERE status = 'completed' AND owner IS NULL",
}

# A key is as old as its request, give or take this, so that a range of time is a range of keys.
KEY_SLACK_MS = 60_000

# How many wait to be claimed, are owned, are held back, are stopped.
COUNTS = (
    "SELECT (SELECT count(*) FROM beltline.run WHERE owner IS NULL AND ready_at IS NOT NULL),"
    " (SELECT count(*) FROM beltline.run WHERE owner IS NOT NULL),"
    " (SELECT count(*) FROM beltline.held),"
    " (SELECT count(*) FROM beltline.run WHERE status = 'stopped')"
)


def listing(filter: RunFilter, limit: int) -> tuple[str, list[Any]]:
    """The statement that lists runs, and its values; see `Store.runs`."""
    table, order = ALL_RUNS, "request.key"
    if filter.status is not None:
        table = (
            f" FROM ({OF_STATUS[filter.status]}) AS run"
            " JOIN beltline.request ON request.key = run.key"
        )
        order = "run.key"
    tests: list[str] = []
    values: list[Any] = []
    for test, value in (
        ("request.process = {}", filter.process),
        ("request.source = {}", filter.source),
        ("request.accepted_at >= {}", filter.since),
        (order + " >= {}", None if filter.since is None else _key_at(filter.since - KEY_SLACK_MS)),
        ("request.accepted_at < {}", filter.until),
        (order + " < {}", None if filter.until is None else _key_at(filter.until + KEY_SLACK_MS)),
        (order + " < {}", filter.before),
    ):
        if value is not None:
            values.append(value)
            tests.append(test.format(f"${len(values)}"))
    where = " WHERE " + " AND ".join(tests) if tests else ""
    values.append(limit)
    return f"{RECORD}{table}{where} ORDER BY {order} DESC LIMIT ${len(values)}", values


def _key_at(time: int) -> bytes:
    """The least key of a time."""
    return max(0, min(time, (1 << 48) - 1)).to_bytes(6) + bytes(10)


def run_record(row: Any) -> RunRecord:
    """The record in a row of `RECORD`."""
    key, source, process, version_id, status, ready_at, accepted_at, owned, crashes = tuple(row)[:9]
    return RunRecord(
        key, source, process, version_id, status, ready_at, accepted_at, owned, crashes
    )


def stored_run(row: Any) -> StoredRun:
    """The run in a row of `load_1`."""
    key, version_id, crashes, body, meta, entries, ids, bodies = row
    messages = [Message(id, key, text) for id, text in zip(ids or (), bodies or (), strict=True)]
    return StoredRun(key, version_id, crashes, body, meta, entries or [], messages)
