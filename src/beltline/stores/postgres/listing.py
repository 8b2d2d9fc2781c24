"""Lists of runs, newest first: a page costs some looks into an index, however much has ended.

What is kept for long lies in partitions by time, so a list walks back through *windows* of time:
the latest days first, then a month, then the rest, until the page is full. A statement is planned
for the bounds of its window (see `READING` in store.py), so that what lies outside is neither
opened nor locked.

Through a window leads one of two *roads*:

    along the requests   by their process, their source or their keys; looks up each one's run
    along the runs       of one status; looks up each one's request

Where a list asks for a status and for a process or source, either road may be the one with few
rows. So both are measured by a short walk over their indexes, and the sparser one is taken. Windows
and what is walked of them do not overlap: each run is seen by one statement, with one state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from beltline.engine.ids import time_of
from beltline.engine.records import RunFilter, RunRecord
from beltline.stores.postgres.lane import Connection
from beltline.stores.postgres.reading import RECORD, run_record
from beltline.stores.postgres.sharing import DAY_MS

WINDOWS_DAYS = (2, 30)  # where the windows begin, back from the newest run; then comes the rest
LOOK = 200  # rows that roads are compared over at first, then twice as many: under 1 ms

# A key is as old as its request, give or take this, so that a range of time is a range of keys.
KEY_SLACK_MS = 60_000
FIRST_KEY, LAST_KEY = bytes(16), b"\xff" * 16

# The end of what is looked up for one row after the other, by its key: the planner would join it in
# ways that are as good as its guesses of numbers, and those of the newest partition are old.
ONE_BY_ONE = "OFFSET 0"

# Of the values of each statement the first three are these; those of the filter come after them.
WINDOW = "key >= $1 AND key < $2"
NUMBER = "$3"  # rows at the most, or to be passed over

COLUMNS = {
    "run": "key, version_id, status, ready_at, owner, crashes",
    "finished": "key, version_id, status, NULL::bigint AS ready_at, NULL::bigint AS owner,"
    " 0 AS crashes",
    "held": "key, NULL::bigint AS version_id, 'waiting' AS status, NULL::bigint AS ready_at,"
    " NULL::bigint AS owner, 0 AS crashes",
}

# Where the runs of each status are found: tables and tests, each served by an index in the order of
# keys. (Those that are owned are sorted: no more than nodes can hold.)
OF_STATUS = {
    "cancelled": [("run", "status = 'cancelled'"), ("finished", "status = 'cancelled'")],
    "stopped": [("run", "status = 'stopped'")],
    "moving": [
        ("run", "status = 'moving'"),
        ("run", "owner IS NOT NULL AND status NOT IN ('cancelled', 'moving', 'stopped')"),
    ],
    "waiting": [("run", "status = 'waiting' AND owner IS NULL"), ("held", "true")],
    "parked": [("run", "status = 'parked' AND owner IS NULL")],
    "completed": [
        ("run", "status = 'completed' AND owner IS NULL"),
        ("finished", "status = 'completed'"),
    ],
}


async def page(db: Connection, filter: RunFilter, limit: int, now: int) -> list[RunRecord]:
    """A page of runs; see `Store.runs`. `db` plans each statement for its very values. A `now` that
    is wrong costs time, and nothing else.
    """
    listed = _List(db, filter)
    found: list[Any] = []
    for bottom, top in windows(filter, now):
        found += await listed.within(bottom, top, limit - len(found))
        if len(found) >= limit:
            break
    return [run_record(row) for row in found]


def windows(filter: RunFilter, now: int) -> Iterator[tuple[bytes, bytes]]:
    """The windows that hold all keys of the filter, the newest first: from one key on, and before
    the other.
    """
    bottom, top = FIRST_KEY, LAST_KEY
    if filter.since is not None:
        bottom = _key_at(filter.since - KEY_SLACK_MS)
    if filter.until is not None:
        top = _key_at(filter.until + KEY_SLACK_MS)
    if filter.before is not None:
        top = min(top, filter.before)
    newest = min(time_of(top), now)
    recent = [_key_at(newest - days * DAY_MS) for days in WINDOWS_DAYS]
    for begin in (*(max(key, bottom) for key in recent), bottom):
        if begin < top:
            yield begin, top
            top = begin


def _key_at(time: int) -> bytes:
    """The least key of a time."""
    return max(0, min(time, (1 << 48) - 1)).to_bytes(6) + bytes(10)


class _List:
    """The statements of one list: made from its filter, and run for one window after the other."""

    def __init__(self, db: Connection, filter: RunFilter) -> None:
        self._db = db
        self._tests: list[str] = []  # of a request, beside those of the window
        self._values: list[Any] = []
        self._add("process = {}", filter.process)
        self._add("source = {}", filter.source)
        # What an index of the requests is walked by: of two, the first.
        self._by, self._by_values = self._tests[:1], self._values[:1]
        self._add("accepted_at >= {}", filter.since)
        self._add("accepted_at < {}", filter.until)
        self._parts = OF_STATUS.get(filter.status or "", [])

    def _add(self, test: str, value: Any) -> None:
        if value is not None:
            self._values.append(value)
            self._tests.append(test.format(f"${len(self._values) + 3}"))

    async def within(self, bottom: bytes, top: bytes, limit: int) -> list[Any]:
        """Up to `limit` rows of `RECORD` of the keys from `bottom` on and before `top`."""
        if not self._parts:
            return await self._rows(self._along_requests(), bottom, top, limit)
        if not self._by:
            return await self._rows(self._along_runs(), bottom, top, limit)
        found: list[Any] = []
        look = LOOK
        while bottom < top and len(found) < limit:
            mark, road = await self._sparser(bottom, top, look)
            found += await self._rows(road, mark, top, limit - len(found))
            top = mark
            look *= 2
        return found

    async def _sparser(self, bottom: bytes, top: bytes, look: int) -> tuple[bytes, str]:
        """The road along which so many rows lead farther back, and the key that they lead to."""
        requests = await self._mark(self._requests_walked(), bottom, top, look, *self._by_values)
        if requests > bottom:
            runs = await self._mark(self._runs_walked(), bottom, top, look)
            if runs < requests:
                return runs, self._along_runs()
        return requests, self._along_requests()

    async def _mark(self, walked: str, bottom: bytes, top: bytes, look: int, *values: Any) -> bytes:
        """The key that is reached after `look` rows; the window's end where there are fewer."""
        statement = (
            f"SELECT key FROM ({walked}) AS walked ORDER BY key DESC OFFSET {NUMBER} LIMIT 1"
        )
        key: bytes | None = await self._db.fetchval(statement, bottom, top, look, *values)
        return bottom if key is None else key

    async def _rows(self, statement: str, bottom: bytes, top: bytes, limit: int) -> list[Any]:
        rows: list[Any] = await self._db.fetch(statement, bottom, top, limit, *self._values)
        return rows

    def _requests_walked(self) -> str:
        """The keys along the first road, by one index alone."""
        tests = " AND ".join([WINDOW, *self._by])
        return f"SELECT key FROM beltline.request WHERE {tests}"

    def _runs_walked(self) -> str:
        """The keys along the second road; of each part of it not more than are looked at."""
        return " UNION ALL ".join(
            f"(SELECT key FROM beltline.{table} WHERE {test} AND {WINDOW}"
            f" ORDER BY key DESC LIMIT {NUMBER} + 1)"
            for table, test in self._parts
        )

    def _along_requests(self) -> str:
        parts = self._parts or [("run", "true"), ("finished", "true")]
        runs = " UNION ALL ".join(
            f"SELECT {COLUMNS[table]} FROM beltline.{table}"
            f" WHERE key = request.key AND {WINDOW} AND {test}"
            for table, test in parts
        )
        # A request without a run is held.
        join = "JOIN" if self._parts else "LEFT JOIN"
        tests = " AND ".join([WINDOW, *self._tests])
        return (
            f"{RECORD} FROM (SELECT key, source, process, accepted_at FROM beltline.request"
            f" WHERE {tests}) AS request {join} LATERAL ({runs} {ONE_BY_ONE}) AS run ON true"
            f" ORDER BY request.key DESC LIMIT {NUMBER}"
        )

    def _along_runs(self) -> str:
        tests = " AND ".join([WINDOW, *self._tests])
        of_run = (
            "CROSS JOIN LATERAL (SELECT key, source, process, accepted_at FROM beltline.request"
            f" WHERE key = run.key AND {tests} {ONE_BY_ONE}) AS request"
        )
        parts = " UNION ALL ".join(
            f"({RECORD} FROM (SELECT {COLUMNS[table]} FROM beltline.{table}"
            f" WHERE {test} AND {WINDOW}) AS run {of_run}"
            f" ORDER BY run.key DESC LIMIT {NUMBER})"
            for table, test in self._parts
        )
        return f"SELECT * FROM ({parts}) AS found ORDER BY key DESC LIMIT {NUMBER}"
