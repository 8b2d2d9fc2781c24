"""Requests in their buffers, and the lines in which they wait for each other.

A line keeps the order of requests that have the same key. Its head may go, or has gone and is a run
that has not ended; the others are behind it. When it ends, in the commit that says so, the next one
becomes the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from beltline.core.run import Status
from beltline.engine.records import NewRequest
from beltline.stores.sqlite.many_rows import ManyRows, blobs

ENDED: tuple[Status, ...] = ("completed", "cancelled")

# Puts requests into their buffers; of a line none may go yet.
ADD_HELD = ManyRows("INSERT INTO held (key, source, process, line, place, expires_at, is_head)", 7)

# Begins lines; one that is there keeps its head.
BEGIN_LINES = ManyRows(
    "INSERT INTO line (source, line, head, passes_stopped)",
    4,
    "ON CONFLICT (source, line) DO UPDATE SET passes_stopped = excluded.passes_stopped",
)

# Those of these requests that are the heads of their lines may go.
MARK_HEADS = (
    "UPDATE held SET is_head = 1 WHERE key IN (SELECT value FROM carray(?1))"
    " AND key IN (SELECT head FROM line WHERE head IN (SELECT value FROM carray(?1)))"
)

# Whether any line is in use: mostly none is.
ANY_LINE = "SELECT EXISTS (SELECT 1 FROM line)"

# The lines whose head has ended, or has stopped and is passed.
ENDED_LINES = (
    "SELECT source, line FROM line WHERE head IN (SELECT value FROM carray(?))"
    " UNION SELECT source, line FROM line"
    " WHERE passes_stopped AND head IN (SELECT value FROM carray(?))"
)
NEXT_OF_LINE = "SELECT min(key) FROM held WHERE source = ? AND line = ? AND line <> ''"
MOVE_LINE_ON = "UPDATE line SET head = ? WHERE source = ? AND line = ?"
END_LINE = "DELETE FROM line WHERE source = ? AND line = ?"


def hold(db: apsw.Connection, requests: Sequence[NewRequest]) -> None:
    """Puts requests into their buffers."""
    ADD_HELD.run(
        db,
        [
            value
            for request in requests
            for value in (
                request.key,
                request.source,
                request.process,
                request.line,
                request.place,
                request.expires_at,
                int(not request.line),
            )
        ],
    )
    in_lines = [request for request in requests if request.line]
    if not in_lines:
        return
    BEGIN_LINES.run(
        db,
        [
            value
            for request in in_lines
            for value in (request.source, request.line, request.key, int(request.passes_stopped))
        ],
    )
    db.execute(MARK_HEADS, (blobs(request.key for request in in_lines),))


def move_lines_on(db: apsw.Connection, states: Iterable[tuple[bytes, Status, bool]]) -> None:
    """Lets the next of each line go whose head has ended. `states` are runs after a decision: key,
    status, and whether they are owned.
    """
    ended: list[bytes] = []
    stopped: list[bytes] = []
    for key, status, is_owned in states:
        if status in ENDED and not is_owned:
            ended.append(key)
        elif status == "stopped":
            stopped.append(key)
    if not (ended or stopped) or not db.execute(ANY_LINE).get:
        return
    lines: list[Any] = db.execute(ENDED_LINES, (blobs(ended), blobs(stopped))).fetchall()
    for source, line in lines:
        head = db.execute(NEXT_OF_LINE, (source, line)).get
        if head is None:
            db.execute(END_LINE, (source, line))
        else:
            db.execute(MOVE_LINE_ON, (head, source, line))
            db.execute(MARK_HEADS, (blobs([head]),))
