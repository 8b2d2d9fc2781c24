"""What each source holds back, as people see it: small ones to the last, large ones about.

Counting looks at every request that waits, a million of them for a tenth of a second. Nobody needs
that number to the last one, but everybody asks for it: each list of buffers, each release. So a
large count is kept for a while, and what is let go or dropped here is taken off meanwhile.
"""

from __future__ import annotations

import msgspec

from beltline.engine.ports import Clock, Store
from beltline.engine.records import HeldCount

EACH_TIME = 10_000  # up to so many are counted each time: that takes a millisecond
FRESH_MS_PER_REQUEST = 0.01  # a million is counted about each ten seconds


class HeldCounts:
    """The counts of all sources; none of one that holds nothing. Raises as the store does."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[str, HeldCount] = {}
        self._until = 0

    async def all(self) -> dict[str, HeldCount]:
        """What every source holds."""
        if self._clock.now() >= self._until:
            counts = await self._store.held(None)
            number = sum(count.number for count in counts.values())
            fresh_ms = round(number * FRESH_MS_PER_REQUEST) if number > EACH_TIME else 0
            self._counts, self._until = counts, self._clock.now() + fresh_ms
        return self._counts

    async def of(self, source: str) -> int:
        """How many requests a source holds."""
        count = (await self.all()).get(source)
        return 0 if count is None else count.number

    def gone(self, source: str, number: int) -> None:
        """So many were let go, or dropped, since."""
        count = self._counts.get(source)
        if count is not None:
            left = max(0, count.number - number)
            self._counts[source] = msgspec.structs.replace(count, number=left)
