"""The engine's mailbox, bells and clock under asyncio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any


class SystemClock:
    """Wall time that never goes back: after a step back of the machine's clock it stands still
    until the old time is reached again, at most for `patience_ms`; then it follows.
    """

    def __init__(self, patience_ms: int = 3_600_000) -> None:
        self._last = 0
        self._patience_ms = patience_ms

    def now(self) -> int:
        """Unix milliseconds."""
        now = time.time_ns() // 1_000_000
        if now >= self._last or self._last - now > self._patience_ms:
            self._last = now
        return self._last


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


class AsyncioBell:
    """A bell for one waiting coroutine of the loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wakes the waiter, or the next one."""
        self._event.set()

    async def wait(self, until: int | None = None) -> None:
        """Returns at the next ring, or at `until` (Unix milliseconds)."""
        if until is None:
            await self._event.wait()
        elif not self._event.is_set():
            timeout_s = max(0.0, (until - time.time_ns() // 1_000_000) / 1_000)
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
