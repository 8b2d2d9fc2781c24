"""Events from outside, and what runs wait for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from beltline.engine.event_store import EventTaken, ExpectationFilter, OutsideEvent
from beltline.engine.records import Expectation
from beltline.stores.sqlite.inbox import ADD_MESSAGE, WAKE

# Whether any run waits for anything: mostly none does.
ANY_AWAITED = "SELECT EXISTS (SELECT 1 FROM awaited)"

# A visit waits no more.
AWAIT_NO_MORE = "DELETE FROM awaited WHERE run = ? AND step = ? AND visit = ?"

# A visit waits.
AWAIT = "INSERT INTO awaited (run, step, visit, kind, name, key, at) VALUES (?, ?, ?, ?, ?, ?, ?)"

# The oldest event that is kept for whoever waits for it.
KEPT = (
    "SELECT id, body FROM event WHERE name = ? AND key = ? AND body IS NOT NULL AND keep_until > ?"
    " ORDER BY at, id LIMIT 1"
)

# That event has been given to a run.
GIVEN = "UPDATE event SET body = NULL, runs = runs + 1 WHERE id = ?"

# A run waits for an event no more, at any of its visits.
RUN_AWAITS_NO_MORE = "DELETE FROM awaited WHERE kind = 'event' AND name = ? AND key = ? AND run = ?"

# What became of an event that came before.
TAKEN_BEFORE = "SELECT runs, hash FROM event WHERE id = ? AND forget_at > ?"

# The runs that wait for an event.
WHO_WAITS = (
    "SELECT DISTINCT run FROM awaited WHERE kind = 'event' AND name = ? AND key = ? ORDER BY run"
)

# Nobody waits for an event any more.
NOBODY_AWAITS = "DELETE FROM awaited WHERE kind = 'event' AND name = ? AND key = ?"

# Keeps an event: whole, or only what it was.
KEEP = (
    "INSERT OR REPLACE INTO event (id, name, key, at, keep_until, forget_at, hash, runs, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

# What runs wait for.
LIST = "SELECT run, step, visit, kind, name, key, at FROM awaited"

# Removes events that are forgotten.
PURGE = (
    "DELETE FROM event WHERE id IN"
    " (SELECT id FROM event WHERE forget_at <= ? ORDER BY forget_at LIMIT ?)"
)


def settle(
    db: apsw.Connection,
    no_more: Iterable[tuple[bytes, str, int]],
    awaited: Iterable[Expectation],
) -> None:
    """What a commit says of the things that visits wait for."""
    if db.execute(ANY_AWAITED).get:
        db.executemany(AWAIT_NO_MORE, no_more)
    for one in awaited:
        name, key = encoded(one.name), encoded(one.event_key)
        db.execute(AWAIT, (one.key, one.step, one.visit, one.kind, name, key, one.at))
        if one.kind != "event":
            continue
        kept = db.execute(KEPT, (name, key, one.at)).fetchone()
        if kept is not None:
            id, body = kept
            db.execute(GIVEN, (id,))
            db.execute(RUN_AWAITS_NO_MORE, (name, key, one.key))
            db.execute(
                WAKE, (one.at, one.key)
            )  # it may have begun in this commit, and waits already
            db.execute(ADD_MESSAGE, (one.key, one.at, body))


def give(db: apsw.Connection, event: OutsideEvent) -> EventTaken:
    """See `Store.give_event`."""
    id, name, key = encoded(event.id), encoded(event.name), encoded(event.key)
    before = db.execute(TAKEN_BEFORE, (id, event.at)).fetchone()
    if before is not None:
        return EventTaken(before[0], is_repeat=True, is_same=before[1] == event.hash)
    runs = [run for (run,) in db.execute(WHO_WAITS, (name, key))]
    for run in runs:
        db.execute(WAKE, (event.at, run))
        db.execute(ADD_MESSAGE, (run, event.at, event.body))
    db.execute(NOBODY_AWAITS, (name, key))
    body = None if runs else event.body
    ends = (event.keep_until, event.forget_at)
    db.execute(KEEP, (id, name, key, event.at, *ends, event.hash, len(runs), body))
    return EventTaken(len(runs))


def expectations(db: apsw.Connection, filter: ExpectationFilter, limit: int) -> list[Expectation]:
    """See `Store.expectations`."""
    tests: list[str] = []
    values: list[Any] = []
    if filter.kind is not None:
        tests.append("kind = ?")
        values.append(filter.kind)
    if filter.name is not None:
        tests.append("name = ?")
        values.append(encoded(filter.name))
    if filter.after is not None:
        tests.append("(run, step, visit) > (?, ?, ?)")
        values += filter.after
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    rows = db.execute(f"{LIST}{where} ORDER BY run, step, visit LIMIT ?", (*values, limit))
    return [
        Expectation(run, step, visit, kind, decoded(name), decoded(key), at)
        for run, step, visit, kind, name, key, at in rows
    ]


def purge(db: apsw.Connection, now: int, limit: int) -> int:
    """See `Store.purge_events`."""
    db.execute(PURGE, (now, limit))
    return db.changes()


def encoded(text: str) -> bytes:
    """Text of others as bytes: it may hold any character."""
    return text.encode("utf-8", "surrogatepass")


def decoded(text: bytes) -> str:
    """That text again."""
    return text.decode("utf-8", "surrogatepass")
