"""Runs and held requests as pages, lists and metrics show them; nothing here takes a run."""

from __future__ import annotations

from typing import Any

from beltline.engine.records import Message, RunRecord, StoredRun

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

# How many wait to be claimed, are owned, are held back, are stopped.
COUNTS = (
    "SELECT (SELECT count(*) FROM beltline.run WHERE owner IS NULL AND ready_at IS NOT NULL),"
    " (SELECT count(*) FROM beltline.run WHERE owner IS NOT NULL),"
    " (SELECT count(*) FROM beltline.held),"
    " (SELECT count(*) FROM beltline.run WHERE status = 'stopped')"
)


def run_record(row: Any) -> RunRecord:
    """The record in a row of `RECORD`."""
    key, source, process, version_id, status, ready_at, accepted_at, owned, crashes = tuple(row)[:9]
    return RunRecord(
        key, source, process, version_id, status, ready_at, accepted_at, owned, crashes
    )


def stored_run(row: Any) -> StoredRun:
    """The run in a row of `load_1` or `claim_1`."""
    key, version_id, crashes, body, meta, entries, ids, bodies = row
    messages = [Message(id, key, text) for id, text in zip(ids or (), bodies or (), strict=True)]
    return StoredRun(key, version_id, crashes, body, meta, entries or [], messages)
