"""What would be shared if there were more nodes: windows that count, schedules that fire once."""

from __future__ import annotations

import time

import apsw

from beltline.engine.records import Acceptance, Allowance
from beltline.stores.sqlite.commits import accept

# Moves the last stamp of a name on, and gives it.
STAMP = (
    "INSERT INTO allowance (name, last_at) VALUES (?1, ?2)"
    " ON CONFLICT (name) DO UPDATE SET last_at = max(last_at, excluded.last_at) RETURNING last_at"
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


def allow(db: apsw.Connection, name: str, wanted: int, at_most: int, every_ms: int) -> Allowance:
    """See `Store.allow`; this machine's clock is the store's."""
    at = db.execute(STAMP, (name, time.time_ns() // 1_000_000)).get
    db.execute(FORGET_USES, (name, at - every_ms))
    used, oldest = db.execute(COUNT_USES, (name,)).get
    granted = max(0, min(wanted, at_most - used))
    if granted:
        db.execute(ADD_USES, (name, at, granted))
        oldest = at if oldest is None else oldest
    is_full = used + granted >= at_most
    return Allowance(granted, at, (at if oldest is None else oldest) + every_ms if is_full else at)


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
