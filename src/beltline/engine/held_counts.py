"""What each source holds back, as people see it: small ones to the last, large ones about.

Counting looks at every request that waits, a million of them for a tenth of a second. Nobody needs
that number to the last one, but everybody asks for it: each list of buffers, each release. So a
large count is kept for a while, and what is let go or dropped here is taken off meanwhile. When it
is old it is told once more, and counted anew beside the way: only who asks first waits for it.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from beltline.engine.ports import Bell, Clock, Store, StoreAway
from beltline.engine.records import HeldCount

EACH_TIME = 10_000  # up to so many are counted each time: that takes a millisecond
FRESH_MS_PER_REQUEST = 0.01  # a million is counted about each ten seconds
_LOOK_MS = 60_000  # at the latest so often the counter sees whether it is asked for


class HeldCounts:
    """The counts of all sources; none of one that holds nothing. Raises as the store does. With a
    `bell`, `run` counts what is large.
    """

    def __init__(self, store: Store, clock: Clock, bell: Bell | None = None) -> None:
        self._store = store
        self._clock = clock
        self._bell = bell
        self._counts: dict[str, HeldCount] = {}
        self._until = 0
        self._is_large = False
        self._is_wanted = False

    async def all(self) -> dict[str, HeldCount]:
        """What every source holds."""
        if self._clock.now() >= self._until:
            if self._is_large and self._bell is not None:
                self._is_wanted = True
                self._bell.ring()
            else:
                await self._count()
        return self._counts

    async def run(self) -> None:
        """Counts what is large as often as it is wanted, until it is cancelled."""
        assert self._bell is not None
        while True:
            await self._bell.wait(self._clock.now() + _LOOK_MS)
            if self._is_wanted:
                with suppress(StoreAway):  # then the old count is told until the next time
                    await self._count()
                self._is_wanted = False

    async def _count(self) -> None:
        counts = await self._store.held(None)
        number = sum(count.number for count in counts.values())
        self._is_large = number > EACH_TIME
        fresh_ms = round(number * FRESH_MS_PER_REQUEST) if self._is_large else 0
        self._counts, self._until = counts, self._clock.now() + fresh_ms

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
