"""Requests that their source holds back."""

from __future__ import annotations

from typing import Any

import apsw

# The last of the oldest requests of a source, and how many they are.
OLDEST = (
    "SELECT max(key), count(*) FROM (SELECT key FROM held WHERE source = ? ORDER BY key LIMIT ?)"
)

# Gives them runs.
START_RUNS = (
    "INSERT INTO run (key, version_id, status, ready_at)"
    " SELECT key, ?, 'waiting', ? FROM held WHERE source = ? AND key <= ? ORDER BY key"
)

# Takes them out of the buffer.
LEAVE_BUFFER = "DELETE FROM held WHERE source = ? AND key <= ?"

# How many each source holds.
COUNT_HELD = "SELECT source, count(*) FROM held GROUP BY source"

# How many one source holds.
COUNT_HELD_BY = "SELECT source, count(*) FROM held WHERE source = ? GROUP BY source"


def release(db: apsw.Connection, source: str, version_id: int, now: int, limit: int) -> int:
    """See `Store.release`."""
    last, number = db.execute(OLDEST, (source, limit)).get
    if number:
        db.execute(START_RUNS, (version_id, now, source, last))
        db.execute(LEAVE_BUFFER, (source, last))
    return int(number)


def held(db: apsw.Connection, source: str | None) -> dict[str, int]:
    """See `Store.held`."""
    rows: Any = db.execute(COUNT_HELD) if source is None else db.execute(COUNT_HELD_BY, (source,))
    return dict(rows.fetchall())
