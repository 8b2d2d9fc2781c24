"""The runs that are in memory now, how many more may come, and what is due for them."""

from __future__ import annotations

import heapq

import msgspec

from beltline.core.inputs import TimePassed
from beltline.core.limits import Limits
from beltline.core.run import Run, Status
from beltline.engine.ports import Bell, Clock, Dispatched, Mailbox, Posted
from beltline.engine.records import StoredRun


class Moving(msgspec.Struct):
    """A run in memory. `status` and `crashes` are what its row in the store says (None: not
    known); `messages` are the inbox messages that were taken for it; `watched` is the time that the
    timers hold.
    """

    run: Run
    status: Status | None
    crashes: int = 0
    messages: set[int] = set()
    watched: int = 0


class MovingRuns:
    """All runs in memory, by key, bounded in number and in bytes of documents."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_key: dict[bytes, Moving] = {}
        self._bytes = 0
        self._coming: dict[int, int] = {}  # claimed, on their way to the belt, by their crashes
        self.loading = 0  # the sum of these
        self.reserved = 0  # room for a claim that is under way

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: bytes) -> Moving | None:
        """The run, if it is here."""
        return self._by_key.get(key)

    def awaits(self, call: Dispatched) -> bool:
        """Whether a run here still waits for the answer of this call."""
        moving, asked = self._by_key.get(call.key), call.call
        visit = moving.run.open.get((asked.step.id, asked.visit)) if moving is not None else None
        return visit is not None and visit.phase == "dispatched" and visit.attempt == asked.attempt

    def add(self, moving: Moving) -> None:
        """The run is here from now on."""
        self._by_key[moving.run.key] = moving
        self._bytes += moving.run.document_bytes

    def comes(self, stored: StoredRun) -> None:
        """A claimed run is on its way to the belt."""
        self.loading += 1
        self._bytes += stored.size
        self._coming[stored.crashes] = self._coming.get(stored.crashes, 0) + 1

    def came(self, stored: StoredRun) -> None:
        """It is with the belt now, which counts its document from here on."""
        self.loading -= 1
        self._bytes -= stored.size
        self._coming[stored.crashes] -= 1

    def remove(self, moving: Moving) -> None:
        """The run has left."""
        if self._by_key.pop(moving.run.key, None) is not None:
            self._bytes -= moving.run.document_bytes

    def grew(self, run: Run, bytes_more: int) -> None:
        """A run's document changed its size; counts where the run is here."""
        if bytes_more and run.key in self._by_key:
            self._bytes += bytes_more

    def watches(self) -> list[tuple[int, bytes]]:
        """The watches of the runs here, as the timers keep them."""
        return [(one.watched, key) for key, one in self._by_key.items() if one.watched]

    def room(self) -> int:
        """How many more runs may come."""
        if self._bytes >= self._limits.moving_document_bytes:
            return 0
        taken = len(self._by_key) + self.loading + self.reserved
        return max(0, self._limits.moving_runs - taken)

    def of_crashes(self, crashes: int) -> int:
        """How many of the runs here, or on their way, were moving at that many crashes in a row."""
        here = sum(1 for moving in self._by_key.values() if moving.crashes == crashes)
        return here + self._coming.get(crashes, 0)

    def documents_bytes(self) -> int:
        """About how much the documents here, and those on their way, take as JSON."""
        return self._bytes


class Timers:
    """When to look at which moving run: deadlines of attempts, and the waits of its branches.

    Each run has one watch at most; a watch that comes before the run's own time is simply set
    anew, which costs less than one watch an attempt.
    """

    def __init__(self, runs: MovingRuns, clock: Clock, mailbox: Mailbox, bell: Bell) -> None:
        self._runs = runs
        self._clock = clock
        self._mailbox = mailbox
        self._bell = bell
        self._heap: list[tuple[int, bytes]] = []
        self.is_held = False  # the store has no room: what could follow could not be recorded

    def watch(self, moving: Moving) -> None:
        """Sees to it that the run is looked at in time."""
        at = moving.run.next_at
        if at is None or (moving.watched and moving.watched <= at):
            return
        moving.watched = at
        if len(self._heap) > 2 * len(self._runs) + 1_000:
            # Most are of runs that have ended.
            self._heap = self._runs.watches()
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (at, moving.run.key))
        if self._heap[0][0] == at:
            self._bell.ring()

    async def run(self) -> None:
        """Tells the belt when time has passed for a run, for as long as the node lives."""
        while True:
            now = self._clock.now()
            due: list[Posted] = []
            while self._heap and self._heap[0][0] <= now and not self.is_held:
                due.append(Posted(heapq.heappop(self._heap)[1], TimePassed()))
            if due:
                self._mailbox.post(due)
            if self.is_held:
                await self._bell.wait(now + 1_000)
            else:
                await self._bell.wait(self._heap[0][0] if self._heap else None)
