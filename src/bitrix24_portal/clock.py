"""Time behind a seam: the limits count minutes, and tests do not wait for them."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in seconds since 1970, and waiting."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC; never goes back by more than the system's clock does."""

    async def sleep(self, seconds: float) -> None:
        """Returns when `seconds` have passed by this clock."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
