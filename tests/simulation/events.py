"""The part of the simulated store about events from outside, and what runs wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from beltline.engine.event_store import EventTaken, ExpectationFilter, OutsideEvent
from beltline.engine.records import Expectation
from tests.simulation.disk import Disk


class SimulatedEvents:
    """Fulfils `engine.event_store.EventStore` over the disk of whoever inherits it."""

    _disk: Disk

    async def _read(self, look: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def _write(self, work: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def give_event(self, event: OutsideEvent) -> EventTaken:
        taken: EventTaken = await self._write(lambda: give(self._disk, event))
        return taken

    async def expectations(self, filter: ExpectationFilter, limit: int) -> list[Expectation]:
        def look() -> list[Expectation]:
            return [
                one
                for place, one in sorted(self._disk.awaited.items())
                if filter.kind in (None, one.kind)
                and filter.name in (None, one.name)
                and (filter.after is None or place > filter.after)
            ][:limit]

        found: list[Expectation] = await self._read(look)
        return found

    async def purge_events(self, now: int, limit: int) -> int:
        def purge() -> int:
            events = self._disk.events
            ends = sorted((event.forget_at, id) for id, (event, _) in events.items())
            gone = [id for end, id in ends if end <= now][:limit]
            for id in gone:
                del events[id]
            return len(gone)

        number: int = await self._write(purge)
        return number


def give(disk: Disk, event: OutsideEvent) -> EventTaken:
    """See `Store.give_event`."""
    known = disk.events.get(event.id)
    if known is not None and known[0].forget_at > event.at:
        return EventTaken(known[1], is_repeat=True, is_same=known[0].hash == event.hash)
    places = [p for p, one in disk.awaited.items() if _is_for(one, event)]
    runs = sorted({run for run, _, _ in places})
    for run in runs:
        disk.post(run, event.body, event.at)
    for place in places:
        del disk.awaited[place]
    kept = msgspec.structs.replace(event, body=b"") if runs else event
    disk.events[event.id] = (kept, len(runs))
    return EventTaken(len(runs))


def _is_for(one: Expectation, event: OutsideEvent) -> bool:
    return (one.kind, one.name, one.event_key) == ("event", event.name, event.key)
