"""Lets held requests go in their time: each source's buffer by its own settings.

    look ──> what its settings say now ──> one transaction of the store ──> runs that are ready
     ▲                                                                             │
     └── the next time that anything can change: a window's room, a due time ──────┘

Every node looks, and none of them decides alone: how many may go, and who they are, is settled in
the store's transaction, so that the promises hold whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.definition.buffering import AtOnce, Collect, Paused, Release
from beltline.definition.source import Source
from beltline.engine.collecting import Collector
from beltline.engine.ports import Bell, Clock, Report, Store, StoreAway, StoreFull
from beltline.engine.records import ReleaseOrder
from beltline.engine.release_plan import plan
from beltline.engine.withdrawing import expire

LOOK_MS = 1_000  # what other nodes and people do rings no bell here
PAUSED = "paused"
RELEASED = "released"


def release_now(source: Source, state: str | None) -> Release:
    """How a source releases: as its file says, unless people have set something else."""
    if state == PAUSED:
        return Paused()
    release = source.buffering.release
    return AtOnce() if state == RELEASED and isinstance(release, Paused) else release


class Versions(Protocol):
    """Where the releaser gets the versions that requests are to go through."""

    def usable(self, names: Iterable[str]) -> dict[str, int]:
        """The version ids of those of these processes that requests can go through now."""
        ...

    def newest(self, name: str) -> tuple[int, Process]:
        """The version id and the process. Raises `NotFound` and `VersionUnusable`."""
        ...


class Releaser:
    """Looks after the buffers of a node's sources, which may be changed while it runs. It is a
    `Doorbell` of the committer.
    """

    def __init__(
        self,
        store: Store,
        versions: Versions,
        sources: Mapping[str, Source],
        clock: Clock,
        bell: Bell,
        report: Report,
        expect: Callable[[int], None],
        collector: Collector,
        limits: Limits,
    ) -> None:
        self._store = store
        self._versions = versions
        self._sources = sources
        self._clock = clock
        self._bell = bell
        self._report = report
        self._expect = expect
        self._collector = collector
        self._limits = limits
        self._rung: set[str] = set()
        self._look_at: dict[str, int] = {}  # of each source
        # Of those whose window or time says so, by what their settings said then.
        self._full_until: dict[str, tuple[Release, int]] = {}
        self._states: dict[str, str] = {}
        self._all_at = 0
        self.keeps_order = False
        self.is_draining = False

    def held(self, source: str) -> None:
        """A request was put into this source's buffer."""
        self._rung.add(source)
        self._bell.ring()

    def ended(self) -> None:
        """A run has ended that held requests may have waited for."""
        self._rung.update(
            name for name, source in self._sources.items() if source.buffering.key is not None
        )
        self._bell.ring()

    def ring(self) -> None:
        """A person has changed something: look at everything."""
        self._all_at = 0
        self._full_until.clear()
        self._bell.ring()

    async def run(self) -> None:
        """Looks for as long as the node lives. Raises `StoreBroken`."""
        while True:
            until = self._clock.now() + LOOK_MS
            if not self.is_draining:
                try:
                    await self._look(self._clock.now())
                    until = self._next_look()
                except (StoreAway, StoreFull):
                    self._all_at = 0  # all of it again, at the next look
            await self._bell.wait(until)

    def _next_look(self) -> int:
        """It may have passed already: a look takes a while, and a window may have room since."""
        times = [self._look_at.get(name, self._all_at) for name in self._sources]
        return min([self._all_at, *times])

    async def _look(self, now: int) -> None:
        is_all = now >= self._all_at
        if is_all:
            self._all_at = now + LOOK_MS
            self._states = await self._store.source_state()
            self.keeps_order = any(s.buffering.key is not None for s in self._sources.values())
            await self._expire(now)
        rung, self._rung = self._rung, set()
        for name, source in list(self._sources.items()):
            if not (is_all or name in rung or self._look_at.get(name, 0) <= now):
                continue
            release = release_now(source, self._states.get(name))
            full_until = self._full(name, release)
            if full_until <= now:
                await self._release(source, release, now)
            else:
                self._look_at[name] = min(now + LOOK_MS, full_until)

    def _full(self, name: str, release: Release) -> int:
        """Until when a source may let nothing go, as its settings are now."""
        by, until = self._full_until.get(name, (release, 0))
        return until if by == release else 0

    async def _expire(self, now: int) -> None:
        versions: dict[str, int] = {}
        for source in self._sources.values():
            if source.buffering.expires_ms is not None:
                versions |= self._versions.usable(source.processes)
        if versions and (late := await expire(self._store, versions, self._limits, now)):
            self._report("requests waited in their buffers for too long", "", f"{len(late)}")
            self._expect(now)

    async def _release(self, source: Source, release: Release, now: int) -> None:
        """Lets go what may go, a part at a time."""
        name = source.name
        self._look_at[name] = now + LOOK_MS
        versions = self._versions.usable(source.processes)
        if not versions:
            return  # they wait until there is a process for them
        if isinstance(release, Collect):
            next_at = await self._collector.collect(name, release, versions, now)
            self._look_at[name] = min(next_at or now + LOOK_MS, now + LOOK_MS)
            return
        planned = plan(name, release, now)
        full_until = planned.until if not planned.may_go else None
        while planned.may_go:
            order = ReleaseOrder(name, versions, self._limits.batch, planned.window, planned.due)
            released = await self._store.release(order, now)
            if released.number:
                self._expect(now)
            if released.number < self._limits.batch:
                full_until = now + released.wait_ms if released.wait_ms else None
                break
        times = [at for at in (full_until, planned.until) if at is not None and at > now]
        self._look_at[name] = min([now + LOOK_MS, *times])
        self._full_until[name] = (release, full_until or 0)
