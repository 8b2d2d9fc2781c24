"""The engine's mailbox, bells and clock under asyncio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from beltline.engine.ports import Clock


class SystemClock:
    """The time of day, which never goes back and never stands still.

    After a step back of the machine's clock this one goes on by the time that really passes, at
    nine tenths of its pace, until the machine has caught up: nothing is late by the step.
    """

    _PACE = 0.9
    _WAY_MS = 50.0

    def __init__(self) -> None:
        self._last = 0.0
        self._passed = time.monotonic()
        self._ahead = 0.0  # of the machine's clock: by how much another one is to be followed

    def now(self) -> int:
        """Unix milliseconds."""
        passed = time.monotonic()
        wall = time.time_ns() / 1_000_000 + self._ahead
        own = self._last + (passed - self._passed) * 1_000 * self._PACE
        self._passed = passed
        self._last = max(wall, own)
        return int(self._last)

    def follow(self, shared: int) -> None:
        """From here on this clock goes by another one, which shows `shared` now; differences that
        the way to it explains do not count.
        """
        ahead = shared - time.time_ns() / 1_000_000
        if abs(ahead - self._ahead) > self._WAY_MS:
            self._ahead = ahead


class AsyncioMailbox:
    """A mailbox that any thread may post to; one wake-up of the loop per burst."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_idle = False  # the taker found nothing, and must be woken

    def __len__(self) -> int:
        return len(self._items)

    def post(self, items: Sequence[Any]) -> None:
        """Adds items and wakes the taker."""
        self._items.extend(items)
        if self._is_idle:
            self._is_idle = False
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self, limit: int) -> list[Any]:
        """Up to `limit` items; waits until there is one."""
        items = self._items
        while not items:
            self._waiter = self._loop.create_future()
            self._is_idle = True
            # A post between the look and the flag rang no bell: look again.
            if items:
                self._is_idle = False
                break
            await self._waiter
        return [items.popleft() for _ in range(min(limit, len(items)))]

    def clear(self) -> list[Any]:
        """All items, which are gone from here."""
        items = list(self._items)
        self._items.clear()
        return items


class AsyncioBell:
    """A bell for one waiting coroutine of the loop; moments are those of `clock`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wakes the waiter, or the next one."""
        self._event.set()

    async def wait(self, until: int | None = None) -> None:
        """Returns at the next ring, or at `until` (Unix milliseconds)."""
        if until is None:
            await self._event.wait()
        elif not self._event.is_set():
            timeout_s = max(0.0, (until - self._clock.now()) / 1_000)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._event.wait()
            except TimeoutError:
                pass
        self._event.clear()


class AsyncioReply:
    """One answer for one waiter of the loop."""

    def __init__(self) -> None:
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def give(self, answer: Any) -> None:
        """Sets the answer."""
        if not self._future.done():
            self._future.set_result(answer)

    async def wait(self) -> Any:
        """The answer."""
        return await self._future
