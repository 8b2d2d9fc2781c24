"""Keeps the verdicts of requests that started nothing, beside the way of those that do.

    note ──> waiting (bounded) ──> one call of the store for all that wait

Nobody is answered later because of it. It is bounded in every direction, since whoever can reach an
address can have any number of requests refused: so many a second of one source, so many bytes that
wait, and in the store so many of one source for so long. What is over the bounds is counted.
"""

from __future__ import annotations

from collections import deque

from beltline.core.limits import Limits
from beltline.engine.ports import Bell, Clock, Report, Store, StoreAway, StoreFull
from beltline.engine.verdict_store import Verdict

_WAITING = 1_000
_WAITING_BYTES = 16_777_216
_PURGE_EVERY_MS = 60_000
_SECOND_MS = 1_000


class Verdicts:
    """The verdicts of one node."""

    def __init__(
        self, store: Store, clock: Clock, bell: Bell, report: Report, limits: Limits
    ) -> None:
        self._store = store
        self._clock = clock
        self._bell = bell
        self._report = report
        self._limits = limits
        self._waiting: deque[Verdict] = deque()
        self._bytes = 0
        self._this_second: dict[str, int] = {}
        self._second = 0
        self._purge_at = 0
        self._is_stopping = False
        self.not_kept = 0

    def take_slot(self, source: str) -> bool:
        """Takes one of this second's slots of a source. Where none is left, that is counted."""
        second = self._clock.now() // _SECOND_MS
        if second != self._second:
            self._second = second
            self._this_second.clear()
        noted = self._this_second.get(source, 0)
        if (
            noted >= self._limits.verdicts_per_second
            or len(self._waiting) >= _WAITING
            or self._bytes >= _WAITING_BYTES
        ):
            self.not_kept += 1
            return False
        self._this_second[source] = noted + 1
        return True

    def note(self, verdict: Verdict) -> None:
        """Has it kept soon. Whoever calls has asked for room."""
        self._waiting.append(verdict)
        self._bytes += len(verdict.body or b"")
        self._bell.ring()

    async def run(self) -> None:
        """Keeps what is noted, until `stop`; then what is left."""
        while not self._is_stopping or self._waiting:
            if not self._waiting:
                await self._bell.wait(self._purge_at)
            await self.keep()
            if self._clock.now() >= self._purge_at:
                await self._purge()

    def stop(self) -> None:
        """Nothing more will be noted."""
        self._is_stopping = True
        self._bell.ring()

    async def keep(self) -> None:
        """Keeps what is noted by now. What cannot be kept is counted."""
        verdicts = list(self._waiting)
        if not verdicts:
            return
        self._waiting.clear()
        self._bytes = 0
        try:
            await self._store.keep_verdicts(verdicts)
        except (StoreAway, StoreFull) as trouble:
            # The senders know, and what cannot be stored must not pile up here.
            self.not_kept += len(verdicts)
            self._report("verdicts of refused requests are not kept", "", str(trouble))

    async def _purge(self) -> None:
        limits = self._limits
        now = self._clock.now()
        self._purge_at = now + _PURGE_EVERY_MS
        try:
            while await self._store.purge_verdicts(
                now - limits.verdict_ms, limits.verdicts_kept, limits.batch
            ):
                pass
        except (StoreAway, StoreFull):
            pass  # at the next time
