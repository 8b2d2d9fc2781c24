"""Reopens a store's file and checks every journal in it, with SQL and JSON alone.

Nothing of the hub is imported here: what the hub thinks of its file proves nothing about the file.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import apsw

from bench import lead

WAYS = (
    ("normalise", "find-contact", "get-deal", "remember", "notify"),  # even leads
    ("normalise", "find-contact", "set-defaults", "remember", "notify"),  # odd ones
)


class Incomplete(Exception):
    """A journal in the file is not what it must be; the text says which, and how."""


@dataclass(frozen=True)
class Verified:
    """What the file holds: completed runs, their steps, journal rows, and its size in bytes when
    the log has been copied into it.
    """

    runs: int
    steps: int
    rows: int
    file_bytes: int


def verify(database: Path, runs: int) -> Verified:
    """Checks that `runs` runs are there, each completed by its own way, every event numbered
    without a gap, every step completed once. Raises `Incomplete`.
    """
    db = apsw.Connection(str(database))
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if (told := db.execute("PRAGMA quick_check").get) != "ok":
            raise Incomplete(f"the file is damaged: {told}")
        statuses = dict(db.execute("SELECT status, count(*) FROM run GROUP BY status"))
        if statuses != {"completed": runs}:
            raise Incomplete(f"{runs} completed runs are expected, and there are {statuses}")
        steps, rows, found = _verify_rows(db)
    finally:
        db.close()
    if found != runs:
        raise Incomplete(f"{runs} journals are expected, and there are {found}")
    return Verified(runs, steps, rows, database.stat().st_size)


def _verify_rows(db: apsw.Connection) -> tuple[int, int, int]:
    """Walks all journals in order; gives the numbers of steps, of rows, and of journals."""
    steps = rows = journals = 0
    key, body, events = b"", b"", list[list[object]]()
    # Only journals of runs that have their request count.
    walk = db.execute(
        "SELECT run, seq, entry, body FROM journal JOIN request ON request.key = run"
        " ORDER BY run, seq"
    )
    for run, seq, entry, request in walk:
        if run != key:
            if events:
                steps += _verify_events(key, body, events)
            key, body, events = run, request, []
            journals += 1
        if seq != len(events):
            raise Incomplete(f"run {key.hex()}: event {len(events)} is followed by {seq}")
        events += json.loads(entry)[2]
        rows += 1
    if events:
        steps += _verify_events(key, body, events)
    return steps, rows, journals


def _verify_events(key: bytes, body: bytes, events: list[list[object]]) -> int:
    """Checks one journal; gives its number of completed steps."""
    completed = tuple(str(event[1]) for event in events if event[0] == "step-completed")
    expected = WAYS[json.loads(body)["lead_id"] % 2]
    if completed != expected:
        raise Incomplete(f"run {key.hex()} went {completed} instead of {expected}")
    kinds = Counter(event[0] for event in events)
    whole = {"run-started": 1, "run-completed": 1}
    whole |= {"step-started": lead.STEPS, "step-completed": lead.STEPS}
    if kinds != whole or (events[0][0], events[-1][0]) != ("run-started", "run-completed"):
        raise Incomplete(f"run {key.hex()} has the events {dict(kinds)}")
    return len(completed)
