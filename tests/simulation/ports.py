"""The engine's small ports under the seeded scheduler: mailbox, bell, clock, reply."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from tests.simulation.scheduler import Scheduler, Task


class SimulatedClock:
    """Virtual time plus the jumps that a fault made; it never goes back."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.ahead_ms = 0

    def now(self) -> int:
        """Unix milliseconds."""
        return self._scheduler.now + self.ahead_ms

    def follow(self, shared: int) -> None:
        """Goes by the clock of the store from now on."""
        self.ahead_ms = max(self.ahead_ms, shared - self._scheduler.now)


class SimulatedMailbox:
    """Items in order; taking them is a place where anything else may happen first."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()
        self._taker: Task | None = None

    def post(self, items: Sequence[Any]) -> None:
        """Adds items and wakes the taker."""
        self._items.extend(items)
        if self._taker is not None:
            self._scheduler.wake(self._taker)

    async def take(self, limit: int) -> list[Any]:
        """Up to `limit` items; waits until there is one."""
        await self._scheduler.pause()
        self._taker = self._scheduler.me()
        while not self._items:
            await self._scheduler.block()
        return [self._items.popleft() for _ in range(min(limit, len(self._items)))]

    def clear(self) -> list[Any]:
        """All items, which are gone from here."""
        items = list(self._items)
        self._items.clear()
        return items


class SimulatedBell:
    """A bell for one waiting task."""

    def __init__(self, scheduler: Scheduler, clock: SimulatedClock) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._waiter: Task | None = None
        self._is_rung = False

    def ring(self) -> None:
        """Wakes the waiter, or the next one."""
        self._is_rung = True
        if self._waiter is not None:
            self._scheduler.wake(self._waiter)

    async def wait(self, until: int | None = None) -> None:
        """Returns at the next ring, or at `until`. As in an event loop, a jump of the clock while
        this waits is not noticed before the time that was left has passed.
        """
        await self._scheduler.pause()
        task = self._waiter = self._scheduler.me()
        until_here = None
        if until is not None:
            until_here = until - self._clock.ahead_ms
            self._scheduler.at(until_here, lambda: self._scheduler.wake(task))
        while not self._is_rung and (until_here is None or self._scheduler.now < until_here):
            await self._scheduler.block()
        self._is_rung = False
        self._waiter = None


class SimulatedReply:
    """One answer for one waiting task."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiter: Task | None = None
        self._answer: list[Any] = []

    def give(self, answer: Any) -> None:
        """Sets the answer; only the first counts."""
        if not self._answer:
            self._answer.append(answer)
            if self._waiter is not None:
                self._scheduler.wake(self._waiter)

    async def wait(self) -> Any:
        """The answer."""
        await self._scheduler.pause()
        self._waiter = self._scheduler.me()
        while not self._answer:
            await self._scheduler.block()
        return self._answer[0]
