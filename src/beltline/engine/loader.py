"""Brings runs into memory: after a start, when their time has come, when a message asks.

Waiting runs cost no memory: they are claimed from the store when they are ready, in the order of
their times, and as many as there is room for. Runs that were moving at a crash come back a few at
a time (the poison guard): at most 10^(4-c) of those that were moving at c crashes in a row, so
that the one which ends the process is soon alone, and set aside at the fifth.
"""

from __future__ import annotations

from typing import Protocol

from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.engine.moving import MovingRuns
from beltline.engine.ports import (
    Bell,
    Clock,
    Mailbox,
    Store,
    StoreAway,
    StoreFull,
)
from beltline.engine.records import Claimed, StoredRun
from beltline.engine.work import Loaded, Noticed

POLL_MS = 1_000  # what other programs do may ring no bell here


class VersionUnusable(Exception):
    """The operator: a published version cannot be loaded here, for example since a module that it
    uses is gone. The message says why.
    """


class Processes(Protocol):
    """Where the loader gets definitions from."""

    async def by_id(self, version_id: int) -> Process:
        """The process of a run's version. Raises `VersionUnusable`."""
        ...


class Loader:
    """Claims ready runs and passes messages on to those in memory."""

    def __init__(
        self,
        store: Store,
        processes: Processes,
        mailbox: Mailbox,
        runs: MovingRuns,
        clock: Clock,
        bell: Bell,
        limits: Limits,
    ) -> None:
        self._store = store
        self._processes = processes
        self._mailbox = mailbox
        self._runs = runs
        self._clock = clock
        self._bell = bell
        self._limits = limits
        self._expected: int | None = None
        self._look_at = 0
        self._has_suspects = True  # until a look says otherwise: earlier starts may have left some
        self.has_backlog = True  # until the first claim says otherwise
        self.is_draining = False

    def expect(self, at: int) -> None:
        """A run that nobody owns will be ready at `at`."""
        if self._expected is None or at < self._expected:
            self._expected = at
            self._bell.ring()

    def ring(self) -> None:
        """There is room for more runs, or a message was posted here."""
        self._bell.ring()

    def suspect(self) -> None:
        """Runs that were moving at a crash wait to be claimed."""
        self._has_suspects = True
        self._bell.ring()

    def wake(self) -> None:
        """Another program may have made runs ready, or posted messages."""
        self._look_at = 0
        self._bell.ring()

    async def run(self) -> None:
        """Loads for as long as the node lives."""
        while True:
            if not self.is_draining:
                try:
                    await self._look_ahead()
                    await self._claim_ready()
                    await self._pass_messages()
                except (StoreFull, StoreAway):
                    # It is tried again at the next look: a claim whose answer was lost gives the
                    # same runs again. Of a full store answers may end runs, which makes room.
                    self.has_backlog = True
            await self._bell.wait(self._next_look())

    def _next_look(self) -> int:
        now = self._clock.now()
        if self._expected is None or self.is_draining:
            return now + POLL_MS
        if self.has_backlog and self._expected <= now:
            return now + POLL_MS  # the belt rings when there is room
        return min(max(self._expected, now), now + POLL_MS)

    async def _look_ahead(self) -> None:
        """Asks the store now and then when a run will be ready. Of some nobody here is told: those
        that another program posted a message for, and those let go of while a message waited.
        """
        now = self._clock.now()
        if now < self._look_at:
            return
        self._look_at = now + POLL_MS
        next_at = await self._store.next_ready_at()
        if next_at is not None:
            self.expect(next_at)

    async def _claim_ready(self) -> None:
        now = self._clock.now()
        if self._has_suspects:
            await self._claim_suspects(now)
        if self._expected is None or self._expected > now:
            self.has_backlog = False
            return
        while True:
            limit = min(self._runs.room(), self._limits.claim_runs)
            if limit == 0:
                self.has_backlog = True
                return
            if not (await self._claim(now, limit, 0)).more:
                break
        self.has_backlog = False
        self._expected = None
        next_at = await self._store.next_ready_at()
        if next_at is not None:
            self.expect(next_at)

    async def _claim_suspects(self, now: int) -> None:
        found = False
        for crashes in range(self._limits.crashes, 0, -1):
            found = await self._claim_crashed(now, crashes) or found
        self._has_suspects = found

    async def _claim_crashed(self, now: int, crashes: int) -> bool:
        """Claims runs with so many crashes, as many as may move at once. Tells whether to look for
        more of them later.
        """
        allowed = 10 ** max(0, self._limits.crashes - 1 - crashes)
        found = False
        while True:
            limit = min(
                allowed - self._runs.of_crashes(crashes),
                self._runs.room(),
                self._limits.claim_runs,
            )
            if limit <= 0:
                return True
            claimed = await self._claim(now, limit, crashes)
            found = bool(claimed.runs) or found
            if not claimed.more:
                return found

    async def _claim(self, now: int, limit: int, crashes: int) -> Claimed:
        """Claims up to `limit` runs, as far as their documents have room and one claim may carry
        them, and hands them on to the belt.
        """
        self._runs.reserved = limit  # the belt takes in new requests meanwhile
        room_bytes = self._limits.moving_document_bytes - self._runs.documents_bytes()
        try:
            claimed = await self._store.claim(
                now,
                limit,
                crashes=crashes,
                max_bytes=max(1, min(room_bytes, self._limits.claim_bytes)),
            )
        finally:
            self._runs.reserved = 0
        for stored in claimed.runs:
            self._runs.comes(stored)
        await self._hand_to_belt(claimed.runs)
        return claimed

    async def _hand_to_belt(self, claimed: list[StoredRun]) -> None:
        loaded = []
        for stored in claimed:
            try:
                process = await self._process(stored.version_id)
            except VersionUnusable as unusable:
                loaded.append(Loaded(stored, None, str(unusable)))
            else:
                loaded.append(Loaded(stored, process))
        if loaded:
            self._mailbox.post(loaded)

    async def _process(self, version_id: int) -> Process:
        """The process of a run that is taken, which must reach the belt however long it takes."""
        while True:
            try:
                return await self._processes.by_id(version_id)
            except StoreAway:
                await self._bell.wait(self._clock.now() + POLL_MS)

    async def _pass_messages(self) -> None:
        """All that wait for the runs here, also those passed on before: the belt knows them."""
        last = 0
        while messages := await self._store.messages_after(last, self._limits.batch):
            last = messages[-1].id
            self._mailbox.post([Noticed(message) for message in messages])
