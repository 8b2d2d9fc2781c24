"""A schedule at work: fires each due time, once over all nodes.

Every node looks at the same times; the store lets the first that fires one have it. What lies
between two looks at the clock, be it a hub that was down or a store that was away, is missed, and
the file says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from beltline.core.explanation import moment
from beltline.core.limits import LIMITS
from beltline.definition.schedule import ScheduleWay
from beltline.engine.ports import Bell, Clock
from beltline.sources.door import Door

_log = structlog.get_logger(__name__)

LATE_MS = 60_000  # a time that is due for longer was missed
LOOK_MS = 30_000  # a clock that jumps is noticed within this


class ScheduleFeed:
    """The feed of one schedule."""

    def __init__(
        self,
        way: ScheduleWay,
        door: Door,
        clock: Clock,
        bell: Bell,
        wake_runs: Callable[[], None],
    ) -> None:
        self._way = way
        self._door = door
        self._clock = clock
        self._bell = bell
        self._wake_runs = wake_runs

    async def run(self) -> None:
        """Fires for as long as it is let."""
        last = await self._begin()
        while True:
            last = await self._fire_due(last)
            self._door.looked()
            soon = self._clock.now() + LOOK_MS
            next_due = self._way.times.next_after(last)
            await self._bell.wait(soon if next_due is None else min(next_due, soon))

    async def _begin(self) -> int:
        """The time after which times are due: the last that fired; where this schedule is new, now,
        since nothing of the past is to happen.
        """
        kept = await self._door.cursor()
        text = self._way.times.text
        if kept is None or kept["times"] != text:
            kept = {"times": text, "since": self._clock.now()}
            await self._door.move_on(kept)
        since: int = kept["since"]
        return max(since, await self._door.firing.fired_at() or 0)

    async def _fire_due(self, last: int) -> int:
        """Fires what is due and was not yet; gives the latest time that is done with."""
        now, missed = self._clock.now(), self._way.missed
        most = LIMITS.schedule_missed if missed == "all" else 1
        due = self._way.times.newest(last, now, most)
        if not due:
            return last
        newest = due[-1]
        is_late = now - newest > LATE_MS
        if is_late:
            _log.warning(
                "a schedule missed its time",
                source=self._door.source.name,
                due=moment(newest),
                missed=missed,
            )
        if is_late and missed == "skip":
            return newest
        for at in due:
            if await self._door.firing.fire(at) is not None:
                self._door.brought()
                self._wake_runs()
        return newest
