"""What would be shared if there were more nodes: windows that count, schedules that fire once."""

from __future__ import annotations

import time
from typing import NamedTuple

import apsw

from beltline.engine.ports import FULL_WINDOW_MS
from beltline.engine.records import Acceptance, Allowance, Window
from beltline.stores.sqlite.commits import accept

# Moves the last stamp of a name on, and gives it.
STAMP = (
    "INSERT INTO allowance (name, last_at, every_ms) VALUES (?1, ?2, ?3) ON CONFLICT (name)"
    " DO UPDATE SET last_at = max(last_at, excluded.last_at), every_ms = excluded.every_ms"
    " RETURNING last_at"
)

# Forgets the uses that no window holds any more.
FORGET_USES = "DELETE FROM allowance_use WHERE name = ? AND at <= ?"

# How many count, and the oldest of them.
COUNT_USES = "SELECT coalesce(sum(uses), 0), min(at) FROM allowance_use WHERE name = ?"

# Counts some.
ADD_USES = "INSERT INTO allowance_use (name, at, uses) VALUES (?, ?, ?)"

# Moves a schedule on, unless it is there already.
MOVE_SCHEDULE = (
    "INSERT INTO firing (schedule, due_at) VALUES (?, ?) ON CONFLICT (schedule)"
    " DO UPDATE SET due_at = excluded.due_at WHERE firing.due_at < excluded.due_at"
)

# Where a schedule is.
FIRED_AT = "SELECT due_at FROM firing WHERE schedule = ?"


ALL_OF_IT = 2_000_000_000

# After a start nobody knows what was called for just before the end, nor whether the clock was set:
# windows of releases begin full where they are not long, and count what they let go and was perhaps
# not called for where they are. Of those that begin full nothing from before matters: they are
# counted from now, also where the clock was set back, or nothing would go until it had caught up.
SHORT = "name LIKE 'release %' AND every_ms BETWEEN 1 AND ?2"
BEGIN_FULL = (
    f"DELETE FROM allowance_use WHERE name IN (SELECT name FROM allowance WHERE {SHORT})",
    f"UPDATE allowance SET last_at = ?1 WHERE {SHORT}",
    f"INSERT INTO allowance_use SELECT name, ?1, {ALL_OF_IT} FROM allowance WHERE {SHORT}",
)
COUNT_AGAIN = (
    "INSERT INTO allowance_use (name, at, uses)"
    " SELECT allowance.name, max(allowance.last_at, ?1), count(*)"
    " FROM run JOIN request ON request.key = run.key"
    " JOIN allowance ON allowance.name = 'release ' || request.source AND every_ms > ?2"
    " WHERE run.owner IS NOT NULL"
    " AND (SELECT count(*) FROM (SELECT 1 FROM journal WHERE run = request.key LIMIT 2)) < 2"
    " GROUP BY allowance.name"
)
# The time of day when this process began to look, less the time that had passed: from there on only
# the time that passes counts, whatever the clock is set to.
_EPOCH_NS = time.time_ns() - time.monotonic_ns()


class Room(NamedTuple):
    """How many uses a window has left now; the oldest that counts."""

    left: int
    at: int
    oldest: int | None


def now_ms() -> int:
    """The store's own time, in Unix milliseconds."""
    return (_EPOCH_NS + time.monotonic_ns()) // 1_000_000


def room(db: apsw.Connection, window: Window) -> Room:
    """What is left of a window."""
    at = db.execute(STAMP, (window.name, now_ms(), window.every_ms)).get
    db.execute(FORGET_USES, (window.name, at - window.every_ms))
    used, oldest = db.execute(COUNT_USES, (window.name,)).get
    return Room(max(0, window.at_most - used), at, oldest)


def use(db: apsw.Connection, window: Window, number: int) -> Allowance:
    """Counts uses for which there is room."""
    left, at, oldest = room(db, window)
    if number:
        db.execute(ADD_USES, (window.name, at, number))
        oldest = at if oldest is None else oldest
    is_full = number >= left
    next_at = (at if oldest is None else oldest) + window.every_ms if is_full else at
    return Allowance(number, at, next_at)


def allow(db: apsw.Connection, window: Window, wanted: int) -> Allowance:
    """See `Store.allow`; this machine's clock is the store's."""
    return use(db, window, max(0, min(wanted, room(db, window).left)))


def begin_windows(db: apsw.Connection) -> None:
    """What `join` does to windows, before it lets go of runs."""
    now = now_ms()
    for statement in BEGIN_FULL:
        db.execute(statement, (now, FULL_WINDOW_MS))
    db.execute(COUNT_AGAIN, (now, FULL_WINDOW_MS))


def fire(db: apsw.Connection, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
    """See `Store.fire`."""
    db.execute(MOVE_SCHEDULE, (schedule, due_at))
    if not db.changes():
        return False
    accept(db, [acceptance])
    return True


def fired_at(db: apsw.Connection, schedule: str) -> int | None:
    """See `Store.fired_at`."""
    at: int | None = db.execute(FIRED_AT, (schedule,)).get
    return at
