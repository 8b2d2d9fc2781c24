"""Buffers as people see and use them: what waits and for how long, pausing, letting go, dropping.
What goes by itself is the releaser's.

What a person sets on a source is kept in the store and stands over the source's file, so that
every program on the store sees the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from beltline.definition.buffering import AtOnce, Paused
from beltline.definition.source import Source
from beltline.engine.held_counts import HeldCounts
from beltline.engine.ids import time_of
from beltline.engine.ports import Clock, NotFound, Store
from beltline.engine.records import HeldFilter
from beltline.engine.release_plan import Plan, drained_at, plan
from beltline.engine.releaser import PAUSED, RELEASED, Versions, release_now
from beltline.engine.withdrawing import drop

AT_ONCE = 5_000  # of one commit, so that requests that come in meanwhile hardly wait


def holds_back(source: Source, state: str | None) -> bool:
    """Whether new requests of a source go into its buffer. `state` is what people set on it."""
    if source.buffering.key is not None:
        return True
    return not isinstance(release_now(source, state), AtOnce)


class Buffer(msgspec.Struct, frozen=True):
    """A source's buffer: `state` is `paused` or `released`, `held` how many requests wait.

    Times are Unix milliseconds: `oldest_at` when the oldest of them came, `next_at` when something
    may go next and `drained_at` about when all will have gone (None: nobody can tell).
    """

    source: str
    process: str
    state: str
    held: int
    oldest_at: int | None = None
    next_at: int | None = None
    drained_at: int | None = None


def _next_at(planned: Plan, now: int) -> int | None:
    """When something may go next; what a window leaves room for is known in the store alone."""
    if planned.window is not None:
        return None
    return now if planned.may_go else planned.until


class Buffers:
    """The buffers of a home's sources."""

    def __init__(
        self,
        store: Store,
        versions: Versions,
        clock: Clock,
        sources: Mapping[str, Source],
        counts: HeldCounts | None = None,
    ) -> None:
        self._store = store
        self._newest = versions
        self._clock = clock
        self._sources = sources
        self._counts = counts or HeldCounts(store, clock)

    async def states(self) -> list[Buffer]:
        """Every source's buffer, by name."""
        states = await self._store.source_state()
        held = await self._counts.all()
        now = self._clock.now()
        buffers = []
        for name, source in sorted(self._sources.items()):
            count = held.get(name)
            number = 0 if count is None else count.number
            release = release_now(source, states.get(name))
            planned = plan(name, release, now)
            buffers.append(
                Buffer(
                    name,
                    ", ".join(source.processes),
                    PAUSED if isinstance(release, Paused) else RELEASED,
                    number,
                    None if count is None else time_of(count.oldest),
                    _next_at(planned, now) if number else None,
                    drained_at(release, number, now) if number else None,
                )
            )
        return buffers

    async def pause(self, source: str) -> None:
        """Holds back all that waits, and what the source accepts from now on."""
        await self._store.set_source_state(source, PAUSED)

    async def resume(self, source: str) -> int:
        """Has the source release again as its file says, or at once where it says `paused`. What
        may go at once goes now; gives its number.
        """
        await self._store.set_source_state(source, RELEASED)
        if holds_back(self._sources[source], RELEASED):
            return 0  # the releaser's, in its time
        released = 0
        while count := await self.release(HeldFilter(source), AT_ONCE):
            released += count
        return released

    async def release(self, filter: HeldFilter, limit: int) -> int:
        """Lets up to `limit` of these requests go now, beside what the source's settings let go:
        in their order, and none that is behind another one. Gives their number. Raises `NotFound`
        where the source has no process to go through.
        """
        versions = self._versions(filter.source)
        may_go = msgspec.structs.replace(filter, may_go=True)
        keys = [one.key for one in await self._store.waiting(may_go, limit)]
        number = await self._store.let_go(keys, versions, self._clock.now(), None)
        self._counts.gone(filter.source, number)
        return number

    async def drop(self, filter: HeldFilter, limit: int, *, reason: str, by: str) -> int:
        """Ends up to `limit` of these requests as cancelled, with the reason in their journals;
        gives their number. Raises `NotFound`.
        """
        versions = self._versions(filter.source)
        keys = [one.key for one in await self._store.waiting(filter, limit)]
        now = self._clock.now()
        number = await drop(self._store, keys, versions, now, reason=reason, by=by)
        self._counts.gone(filter.source, number)
        return number

    def _versions(self, source: str) -> dict[str, int]:
        processes = self._sources[source].processes
        versions = self._newest.usable(processes)
        if not versions:
            self._newest.newest(processes[0])  # tells why
            raise NotFound(f"there is no process {processes[0]!r}")
        return versions
