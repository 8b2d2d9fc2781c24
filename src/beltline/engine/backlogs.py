"""How much waits in each source's buffer, known well enough to refuse what has no room.

Counting is a look into the store, so what was counted is kept for a while; what was accepted here
since, and what is under way, is added. Other nodes accept, too: together they may pass the bound
by what they take in within that while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from beltline.definition.source import Source
from beltline.engine.held_counts import FRESH_MS_PER_REQUEST
from beltline.engine.ports import Clock, Store, StoreAway

FRESH_MS = 1_000
# Of a full one sooner: what goes meanwhile is room, and a source must not be refusing while it has
# some. A backlog of less than goes in a second would else never be full for long.
FULL_FRESH_MS = 100


class _Count(msgspec.Struct):
    number: int = 0
    at: int | None = None  # when it was counted last
    accepted: int = 0  # since the count was asked for
    coming: int = 0  # and not known yet whether they are accepted
    is_asking: bool = False


class Backlogs:
    """The backlogs of sources that have a bound."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[str, _Count] = {}

    async def excess(self, source: Source) -> int:
        """By how many requests the source's buffer is too full for one more; 0 where it has room,
        or where nobody can tell.
        """
        room = await self.room(source)
        return 0 if room is None else max(0, 1 - room)

    async def room(self, source: Source) -> int | None:
        """How many requests more the source's buffer holds, below 0 where it holds too many; None
        where it has no bound.
        """
        backlog = source.buffering.backlog
        if backlog is None:
            return None
        count = self._counts.setdefault(source.name, _Count())
        if not count.is_asking and self._is_old(count, backlog.most):
            await self._ask(source.name, count)
        return _room(count, backlog.most)

    def _is_old(self, count: _Count, most: int) -> bool:
        if count.at is None:
            return True
        fresh_ms = FRESH_MS if _room(count, most) > 0 else FULL_FRESH_MS
        fresh_ms += round(count.number * FRESH_MS_PER_REQUEST)
        return self._clock.now() >= count.at + fresh_ms

    @contextmanager
    def coming(self, source: Source, number: int = 1) -> Iterator[None]:
        """Around the taking in of so many requests, which count from the beginning."""
        count = self._counts.setdefault(source.name, _Count())
        count.coming += number
        try:
            yield
        finally:
            count.coming -= number

    def accepted(self, source: Source) -> None:
        """One more was put into the source's buffer here."""
        if source.buffering.backlog is not None:
            self._counts.setdefault(source.name, _Count()).accepted += 1

    async def _ask(self, name: str, count: _Count) -> None:
        count.is_asking = True
        before = count.accepted
        try:
            held = (await self._store.held(name)).get(name)
        except StoreAway:
            return
        finally:
            count.is_asking = False
        count.number = 0 if held is None else held.number
        count.accepted -= before
        count.at = self._clock.now()


def _room(count: _Count, most: int) -> int:
    return most - count.number - count.accepted - count.coming
