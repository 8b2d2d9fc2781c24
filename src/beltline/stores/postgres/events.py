"""The part of the store about events from outside, and what runs wait for."""

from __future__ import annotations

from typing import Any

from beltline.engine.event_store import EventTaken, ExpectationFilter, OutsideEvent
from beltline.engine.records import Expectation
from beltline.stores.postgres.commits import encoded

GIVE = "SELECT * FROM beltline.give_event_1($1, $2, $3, $4, $5, $6, $7, $8)"

# What runs wait for.
LIST = "SELECT run, step, visit, kind, name, key, at FROM beltline.awaited"

# Events that are forgotten; what another node removes right now is left to it.
PURGE = (
    "WITH gone AS (DELETE FROM beltline.event WHERE id IN (SELECT id FROM beltline.event"
    " WHERE forget_at <= $1 ORDER BY forget_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1)"
    " SELECT count(*) FROM gone"
)


class EventCalls:
    """Fulfils `engine.event_store.EventStore`; whoever inherits it asks the database."""

    async def _change(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def give_event(self, event: OutsideEvent) -> EventTaken:
        id, name, key = encoded(event.id), encoded(event.name), encoded(event.key)
        ends = (event.keep_until, event.forget_at)
        rows = await self._change(GIVE, id, name, key, event.at, *ends, event.hash, event.body)
        return EventTaken(*rows[0])

    async def expectations(self, filter: ExpectationFilter, limit: int) -> list[Expectation]:
        tests: list[str] = []
        values: list[Any] = []
        if filter.kind is not None:
            values.append(filter.kind)
            tests.append(f"kind = ${len(values)}")
        if filter.name is not None:
            values.append(encoded(filter.name))
            tests.append(f"name = ${len(values)}")
        if filter.after is not None:
            first = len(values) + 1
            values += filter.after
            places = f"(${first}::uuid, ${first + 1}::text, ${first + 2}::integer)"
            tests.append(f'(run, step COLLATE "C", visit) > {places}')
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        values.append(limit)
        order = f'ORDER BY run, step COLLATE "C", visit LIMIT ${len(values)}'
        rows = await self._read(f"{LIST}{where} {order}", *values)
        return [
            Expectation(run, step, visit, kind, decoded(name), decoded(key), at)
            for run, step, visit, kind, name, key, at in rows
        ]

    async def purge_events(self, now: int, limit: int) -> int:
        return int((await self._change(PURGE, now, limit))[0][0])


def decoded(text: bytes) -> str:
    """Text of others, which is kept as bytes."""
    return text.decode("utf-8", "surrogatepass")
