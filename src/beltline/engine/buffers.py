"""Buffers: which sources hold requests back, and letting them go.

What a person sets on a source is kept in the store and stands over the source's file, so that
every program on the store sees the same; `refresh` brings in what others set.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from beltline.core.limits import LIMITS
from beltline.definition.source import Source
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import Clock, NotFound, Store
from beltline.engine.processes import ProcessBook

PAUSED = "paused"
RELEASED = "released"


def holds_back(source: str, *, paused_by_file: bool, set_by_people: Mapping[str, str]) -> bool:
    """Whether new requests of a source are held back: as a person set it, else as its file says."""
    state = set_by_people.get(source)
    return paused_by_file if state is None else state == PAUSED


class Buffer(msgspec.Struct, frozen=True):
    """A source's buffer: `state` is `paused` or `released`, `held` how many requests wait."""

    source: str
    process: str
    state: str
    held: int


class Buffers:
    """The buffers of a home's sources."""

    def __init__(
        self,
        store: Store,
        book: ProcessBook,
        clock: Clock,
        sources: Mapping[str, Source],
    ) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._sources = sources
        self._set: dict[str, str] = {}

    async def refresh(self) -> None:
        """Reads what people set, here or in another program."""
        self._set = await self._store.source_state()

    def is_paused(self, source: str) -> bool:
        """Whether new requests of the source are held back, as of the last refresh."""
        by_file = self._sources[source].buffering.holds
        return holds_back(source, paused_by_file=by_file, set_by_people=self._set)

    async def states(self) -> list[Buffer]:
        """Every source's buffer, by name."""
        await self.refresh()
        held = await self._store.held(None)
        return [
            Buffer(
                source,
                ", ".join(self._sources[source].processes),
                PAUSED if self.is_paused(source) else RELEASED,
                held.get(source, 0),
            )
            for source in sorted(self._sources)
        ]

    async def pause(self, source: str) -> None:
        """Holds back what the source accepts from now on."""
        await self._store.set_source_state(source, PAUSED)
        self._set[source] = PAUSED

    async def resume(self, source: str) -> int:
        """Lets new requests through, and releases all that wait; gives their number."""
        await self._store.set_source_state(source, RELEASED)
        self._set[source] = RELEASED
        released = 0
        while count := await self.release(source, LIMITS.batch):
            released += count
        return released

    async def release(self, source: str, limit: int) -> int:
        """Lets up to `limit` waiting requests go, the oldest first; gives their number. They go
        through the newest version of the source's process. Raises `NotFound`.
        """
        version_id, _ = self._book.newest(self._sources[source].processes[0])
        return await self._store.release(source, version_id, self._clock.now(), limit)

    async def release_leftovers(self) -> int:
        """Lets go of what sources hold that hold nothing back any more, up to the limit `batch` of
        each; gives the number. To be called now and then: a source that another program let
        through may still have taken in requests for its buffer, as long as that was not known here.
        """
        await self.refresh()
        released = 0
        for source in self._sources:
            if self.is_paused(source) or not await self._store.held(source):
                continue
            try:
                released += await self.release(source, LIMITS.batch)
            except (NotFound, VersionUnusable):
                continue  # they wait until there is a process for them
        return released
