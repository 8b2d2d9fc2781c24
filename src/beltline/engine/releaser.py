"""Lets held requests go in their time: each source's buffer by its own settings.

    look ──> what its settings say now ──> one transaction of the store ──> runs that are ready
     ▲                                                                             │
     └── the next time that anything can change: a window's room, a due time ──────┘

Every node looks, and none of them decides alone: how many may go, and who they are, is settled in
the store's transaction, so that the promises hold whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from beltline.core.limits import Limits
from beltline.definition.buffering import (
    AtOnce,
    Collect,
    OnSchedule,
    OpenHours,
    Paused,
    Rate,
    Release,
)
from beltline.definition.source import Source
from beltline.engine.collecting import Collector
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import Bell, Clock, NotFound, Report, Store, StoreAway, StoreFull
from beltline.engine.processes import ProcessBook
from beltline.engine.records import Due, Released, ReleaseOrder, Window
from beltline.engine.withdrawing import expire

LOOK_MS = 1_000  # what other nodes and people do rings no bell here
LATE_MS = 3_600_000  # a due time that was missed by more is left to the next one
RELEASED = "released"
PAUSED = "paused"


def window_of(source: str, rate: Rate) -> Window:
    """The window that a rate is counted in. What is spread goes one by one."""
    if rate.spread:
        return Window(window_name(source), 1, -(-rate.every_ms // rate.at_most))
    return Window(window_name(source), rate.at_most, rate.every_ms)


def window_name(source: str) -> str:
    """The name under which the releases of a source are counted; stores know it too."""
    return f"release {source}"


class Plan(msgspec.Struct, frozen=True):
    """What a source's settings say at some moment: whether anything may go, what counts it, and
    when they say something else (None: not by themselves).
    """

    may_go: bool
    window: Window | None = None
    due: Due | None = None
    until: int | None = None


def plan(source: str, release: Release, now: int) -> Plan:
    """What may go at `now`."""
    match release:
        case AtOnce():
            return Plan(may_go=True)
        case Rate():
            return Plan(may_go=True, window=window_of(source, release))
        case OpenHours():
            if not release.hours.is_open(now):
                return Plan(may_go=False, until=release.hours.next_open(now))
            rate = release.rate
            return Plan(may_go=True, window=None if rate is None else window_of(source, rate))
        case OnSchedule():
            due = release.cron.between(now - LATE_MS, now, 1)
            until = release.cron.next_after(now)
            if not due:
                return Plan(may_go=False, until=until)
            return Plan(may_go=True, due=Due(due[-1], release.at_most), until=until)
        case Paused() | Collect():
            return Plan(may_go=False)


class Releaser:
    """Looks after the buffers of a node's sources. `states` gives what people set on sources."""

    def __init__(
        self,
        store: Store,
        book: ProcessBook,
        sources: Mapping[str, Source],
        clock: Clock,
        bell: Bell,
        report: Report,
        expect: Callable[[int], None],
        collector: Collector,
        limits: Limits,
    ) -> None:
        self._store = store
        self._book = book
        self._sources = sources
        self._clock = clock
        self._bell = bell
        self._report = report
        self._expect = expect
        self._collector = collector
        self._limits = limits
        self._next: dict[str, int] = {}
        self._rung = True
        self.is_draining = False

    def ring(self) -> None:
        """Something was put into a buffer, or a run has ended that others may be behind."""
        self._rung = True
        self._bell.ring()

    async def run(self) -> None:
        """Looks for as long as the node lives. Raises `StoreBroken`."""
        while True:
            if not self.is_draining:
                try:
                    await self._look()
                except (StoreAway, StoreFull):
                    self._rung = True  # it is tried again at the next look
            await self._bell.wait(self._clock.now() + self._wait_ms())

    def _wait_ms(self) -> int:
        now = self._clock.now()
        return max(1, min([LOOK_MS, *(at - now for at in self._next.values() if at > now)]))

    async def _look(self) -> None:
        now = self._clock.now()
        is_rung, self._rung = self._rung, False
        states = await self._store.source_state()
        held = await self._store.held(None) if is_rung or self._is_time(now) else {}
        for name in held:
            source = self._sources.get(name)
            if source is not None:
                await self._release(source, states.get(name), now)
        for name, number in (await expire(self._store, self._book, self._limits, now)).items():
            self._report("requests waited for too long", "", f"{number} of {name}")
            self._expect(now)

    def _is_time(self, now: int) -> bool:
        return any(at <= now for at in self._next.values()) or not self._next

    async def _release(self, source: Source, state: str | None, now: int) -> None:
        """Lets go what may go, a part at a time."""
        release = source.buffering.release
        if state == PAUSED:
            return
        if state == RELEASED and isinstance(release, Paused):
            release = AtOnce()
        versions = versions_of(self._book, source)
        if not versions:
            return
        if isinstance(release, Collect):
            self._next[source.name] = await self._collector.collect(source, release, versions, now)
            return
        planned = plan(source.name, release, now)
        released = Released(0)
        while planned.may_go:
            order = ReleaseOrder(
                source.name, versions, self._limits.batch, planned.window, planned.due
            )
            released = await self._store.release(order, now)
            if released.number:
                self._expect(now)
            if released.number < self._limits.batch:
                break
        times = [at for at in (released.next_at, planned.until) if at is not None]
        self._next[source.name] = min(times, default=now + LOOK_MS)


def versions_of(book: ProcessBook, source: Source) -> dict[str, int]:
    """The newest versions of a source's processes, as far as they can be used."""
    versions = {}
    for process in source.processes:
        try:
            versions[process], _ = book.newest(process)
        except (NotFound, VersionUnusable):
            continue  # its requests wait until there is one
    return versions
