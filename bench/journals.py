"""Reopens a store and checks every journal in it, with SQL and JSON alone.

Nothing of the hub is imported here: what the hub thinks of its store proves nothing about that.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import apsw
import asyncpg

from bench import lead

WAYS = (
    ("normalise", "find-contact", "get-deal", "remember", "notify"),  # even leads
    ("normalise", "find-contact", "set-defaults", "remember", "notify"),  # odd ones
)
CHUNK = 5_000  # rows from PostgreSQL at once
RELATIONS = ("request", "journal", "finished", "run", "identity", "held", "inbox")

# A row of a journal: the run's key, the number of its first event, its events, the request's body.
Row = tuple[bytes, int, bytes, bytes]


class Incomplete(Exception):
    """A journal in the store is not what it must be; the text says which, and how."""


@dataclass(frozen=True)
class Verified:
    """What the store holds: completed runs, their steps, journal rows, and its size in bytes: the
    file when the log has been copied into it, or all tables of the runs with their indexes.
    """

    runs: int
    steps: int
    rows: int
    file_bytes: int


class Walk:
    """Reads all journals, run after run, each in its order, and counts what it reads."""

    def __init__(self) -> None:
        self.steps = self.rows = self.journals = 0
        self._key, self._body = b"", b""
        self._events: list[list[object]] = []

    def take(self, rows: Iterable[Row]) -> None:
        """The next rows. Raises `Incomplete`."""
        for run, seq, entry, body in rows:
            if run != self._key:
                self.end()
                self._key, self._body = run, body
                self.journals += 1
            if seq != len(self._events):
                number = len(self._events)
                raise Incomplete(f"run {run.hex()}: event {number} is followed by {seq}")
            self._events += json.loads(entry)[2]
            self.rows += 1

    def end(self) -> None:
        """The journal that was read last is whole. Raises `Incomplete`."""
        if self._events:
            self.steps += _verify_events(self._key, self._body, self._events)
        self._events = []

    def verified(self, runs: int, file_bytes: int) -> Verified:
        """What was found, where that is the journals of `runs` runs. Raises `Incomplete`."""
        self.end()
        if self.journals != runs:
            raise Incomplete(f"{runs} journals are expected, and there are {self.journals}")
        return Verified(runs, self.steps, self.rows, file_bytes)


def verify(database: Path, runs: int) -> Verified:
    """Checks that `runs` runs are in the SQLite file, each completed by its own way, every event
    numbered without a gap, every step completed once. Raises `Incomplete`.
    """
    db = apsw.Connection(str(database))
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if (told := db.execute("PRAGMA quick_check").get) != "ok":
            raise Incomplete(f"the file is damaged: {told}")
        _check_statuses(dict(db.execute("SELECT status, count(*) FROM run GROUP BY status")), runs)
        walk = Walk()
        # Only journals of runs that have their request count.
        walk.take(
            db.execute(
                "SELECT run, seq, entry, body FROM journal JOIN request ON request.key = run"
                " ORDER BY run, seq"
            )
        )
    finally:
        db.close()
    return walk.verified(runs, database.stat().st_size)


def verify_postgres(url: str, runs: int) -> Verified:
    """The same of the PostgreSQL database at `url`."""
    return asyncio.run(_verify_postgres(url, runs))


async def _verify_postgres(url: str, runs: int) -> Verified:
    db = await asyncpg.connect(url)
    try:
        statuses = await db.fetch(
            "SELECT status, count(*) FROM (SELECT status FROM beltline.run"
            " UNION ALL SELECT status FROM beltline.finished) AS one GROUP BY status"
        )
        _check_statuses(dict(statuses), runs)
        walk = Walk()
        async with db.transaction(readonly=True):
            cursor = await db.cursor(
                "SELECT uuid_send(run), seq, entry, body FROM beltline.journal"
                " JOIN beltline.request ON request.key = run ORDER BY run, seq"
            )
            while rows := await cursor.fetch(CHUNK):
                walk.take(tuple(row) for row in rows)
        sizes = await db.fetchval(
            "SELECT sum(pg_total_relation_size(class.oid)) FROM pg_class AS class"
            " LEFT JOIN pg_inherits ON inhrelid = class.oid"
            " JOIN unnest($1::text[]) AS name"
            " ON coalesce(inhparent, class.oid) = ('beltline.' || name)::regclass",
            RELATIONS,
        )
    finally:
        await db.close()
    return walk.verified(runs, int(sizes))


def requests(database: Path) -> set[bytes]:
    """The keys of all requests in a SQLite file."""
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {key for (key,) in db.execute("SELECT key FROM request")}
    finally:
        db.close()


def requests_postgres(url: str) -> set[bytes]:
    """The same of the PostgreSQL database at `url`."""
    return asyncio.run(_requests_postgres(url))


async def _requests_postgres(url: str) -> set[bytes]:
    db = await asyncpg.connect(url)
    try:
        rows = await db.fetch("SELECT uuid_send(key) FROM beltline.request")
        return {bytes(row[0]) for row in rows}
    finally:
        await db.close()


def _check_statuses(statuses: dict[str, int], runs: int) -> None:
    if statuses != {"completed": runs}:
        raise Incomplete(f"{runs} completed runs are expected, and there are {statuses}")


def _verify_events(key: bytes, body: bytes, events: list[list[object]]) -> int:
    """Checks one journal; gives its number of completed steps."""
    completed = tuple(str(event[1]) for event in events if event[0] == "step-completed")
    expected = WAYS[json.loads(body)["lead_id"] % 2]
    if completed != expected:
        raise Incomplete(f"run {key.hex()} went {completed} instead of {expected}")
    # A call that a broker has is deferred, or answered before that is told.
    kinds = Counter(event[0] for event in events if event[0] != "step-deferred")
    whole = {"run-started": 1, "run-completed": 1}
    whole |= {"step-started": lead.STEPS, "step-completed": lead.STEPS}
    if kinds != whole or (events[0][0], events[-1][0]) != ("run-started", "run-completed"):
        raise Incomplete(f"run {key.hex()} has the events {dict(kinds)}")
    return len(completed)
