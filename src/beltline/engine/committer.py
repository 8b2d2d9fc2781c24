"""Group commit: everything that gathered while the last commit ran goes into the next.

Nothing leaves the hub from anywhere but `_act`, after the commit that holds its cause.

    belt fills `gathering` ──> commit (store) ──> _act: answers to senders, calls to modules
         ▲                                              │
         └────────────── answers of handlers ◄──────────┘
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from beltline.core.inputs import Recovered
from beltline.core.limits import Limits
from beltline.engine.moving import MovingRuns, Timers
from beltline.engine.ports import (
    Bell,
    Clock,
    Mailbox,
    Posted,
    Reply,
    Store,
    StoreAway,
    StoreFull,
    Transport,
)
from beltline.engine.records import NewRun, Repeat, RunChange
from beltline.engine.work import Accepted, Newcomer, Refused, Work

FULL_RETRY_MS = 1_000
AWAY_RETRY_MS = 200  # how long an outage lasts is the database's affair, and mostly it is short
FULL = "the store has no room left"
AWAY = "the store cannot be reached"


class Doorbell(Protocol):
    """Is told what may let held requests go. `keeps_order` holds where any wait for runs."""

    keeps_order: bool

    def held(self, source: str) -> None:
        """A request was put into this source's buffer."""
        ...

    def ended(self) -> None:
        """A run has ended or stopped."""
        ...


class Committer:
    """Makes gathered work durable, one commit at a time, then acts on it.

    `expect(at)` is told when a run that nobody owns will be ready.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        mailbox: Mailbox,
        runs: MovingRuns,
        timers: Timers,
        clock: Clock,
        new_bell: Callable[[], Bell],
        expect: Callable[[int], None],
        doorbell: Doorbell,
        limits: Limits,
    ) -> None:
        self._store = store
        self._transport = transport
        self._mailbox = mailbox
        self._runs = runs
        self._timers = timers
        self._clock = clock
        self._expect = expect
        self._doorbell = doorbell
        self._filled = new_bell()
        self._emptied = new_bell()
        self._limits = limits
        self.gathering = Work()
        self._under_way = Work()
        self.watchers: dict[bytes, list[Reply]] = {}
        self.senders: dict[bytes, list[Reply]] = {}
        self.commits = 0
        self.trouble = ""  # why the last commit could not be made: FULL, AWAY, or nothing
        self._try_at = 0
        self.is_draining = False  # calls stay in the journal, for whoever recovers the run

    def ring(self) -> None:
        """The belt has added to `gathering`."""
        self._filled.ring()

    def watch(self, key: bytes, reply: Reply) -> None:
        """Gives `reply` the run's status once it is at rest: ended, or stopped with nothing left
        that goes on by itself.
        """
        self.watchers.setdefault(key, []).append(reply)

    def watch_as_sender(self, key: bytes, reply: Reply) -> None:
        """The same for a sender, which hears it sooner where a step gives it an answer."""
        self.senders.setdefault(key, []).append(reply)
        self.watch(key, reply)

    def unwatch(self, key: bytes, reply: Reply) -> None:
        """Whoever waited for it has gone."""
        for watchers in (self.watchers, self.senders):
            replies = watchers.get(key, [])
            if reply in replies:
                replies.remove(reply)
                if not replies:
                    del watchers[key]

    async def room(self) -> None:
        """Waits while so much has gathered that more would only cost memory."""
        while len(self.gathering) >= 4 * self._limits.batch and not self.trouble:
            await self._emptied.wait()

    @property
    def is_full(self) -> bool:
        """Whether the last commit found no room."""
        return self.trouble == FULL

    @property
    def is_away(self) -> bool:
        """Whether the store could not be reached at the last commit."""
        return self.trouble == AWAY

    async def run(self) -> None:
        """Commits for as long as the node lives. Raises `StoreBroken` and `LeaseLost`."""
        while True:
            await self._filled.wait()
            while len(self.gathering):
                work, self.gathering = self.gathering, Work()
                self._under_way = work
                self._emptied.ring()
                had_trouble = bool(self.trouble)
                answers = await self._commit(work)
                self._under_way = Work()
                if self.trouble or had_trouble:
                    self._begin_again(work)
                if len(work):
                    self._set_trouble("")
                else:  # nothing was left to try with: what falls due next is the next try
                    self._timers.is_held = False
                self._act(work, answers)

    async def _commit(self, work: Work) -> list[Repeat | None]:
        """Tries until it succeeds; work that turns out to hold nothing any more has succeeded.

        While the store is away nobody knows whether the commit happened, so the very same one is
        asked for again, and those who wait for it wait on.
        """
        is_in_doubt = False
        while len(work):
            try:
                answers = await self._store.commit(work.batch())
            except StoreFull as full:
                self._set_trouble(FULL)
                if not is_in_doubt:
                    self._turn_away(work, str(full))
                self._turn_away(self.gathering, str(full))
                wait_ms = FULL_RETRY_MS
            except StoreAway as away:
                is_in_doubt = True
                self._set_trouble(AWAY)
                self._turn_away(self.gathering, str(away))
                wait_ms = AWAY_RETRY_MS
            else:
                self.commits += 1
                return answers
            self._emptied.ring()
            await self._filled.wait(self._clock.now() + wait_ms)
        return []

    def refusal(self) -> str:
        """Why a request that came now could surely not be stored; empty where it may be. With a
        full store one is let through after a while, since nothing else may be there to try with.
        """
        is_sure = self.trouble == AWAY or self._clock.now() < self._try_at
        return self.trouble if is_sure else ""

    def hear(self, *, is_away: bool) -> None:
        """What the pulse learned of the store, which matters while nothing is committed."""
        if is_away and not self.trouble:
            self._set_trouble(AWAY)
        elif not is_away and self.trouble == AWAY and not len(self._under_way):
            self._set_trouble("")

    def _set_trouble(self, trouble: str) -> None:
        self.trouble = trouble
        self._timers.is_held = bool(trouble)
        self._try_at = self._clock.now() + FULL_RETRY_MS

    def abandon(self, reason: str) -> None:
        """What was not made durable until now never will be: senders hear so. Whether the commit
        under way happened, nobody will know here.
        """
        for work in (self._under_way, self.gathering):
            self._turn_away(work, reason, is_in_doubt=work is self._under_way)
            for barrier in work.barriers:
                barrier.reply.give(False)
        self.gathering = self._under_way = Work()

    def _begin_again(self, work: Work) -> None:
        """Deadlines of calls that were held up by the store may have passed before anyone was
        called: their attempts begin again, which raises `attempt` and counts no failure.
        """
        keys = dict.fromkeys(call.key for call in work.calls)
        work.calls = []
        for newcomer in work.newcomers:
            keys.update(dict.fromkeys(call.key for call in newcomer.calls))
            newcomer.calls = []
        self._mailbox.post([Posted(key, Recovered()) for key in keys])

    def _turn_away(self, work: Work, reason: str, *, is_in_doubt: bool = False) -> None:
        """Senders must not wait for room; what was accepted before stays and is tried again."""
        for newcomer in work.newcomers:
            if newcomer.moving is not None:
                self._runs.remove(newcomer.moving)
            newcomer.submitted.reply.give(Refused(reason, is_in_doubt))
        gone = {newcomer.acceptance.request.key for newcomer in work.newcomers}
        work.awaits = {visit: one for visit, one in work.awaits.items() if visit[0] not in gone}
        work.newcomers = []

    def _act(self, work: Work, answers: list[Repeat | None]) -> None:
        calls = work.calls
        for newcomer, repeat in zip(work.newcomers, answers, strict=False):
            reply = newcomer.submitted.reply
            if repeat is None:
                request = newcomer.submitted.request
                reply.give(Accepted(request.key, request.held))
                calls.extend(newcomer.calls)
                self._took_in(newcomer)
            else:
                if newcomer.moving is not None:
                    self._runs.remove(newcomer.moving)
                reply.give(repeat)
        for barrier in work.barriers:
            barrier.reply.give(True)
        ready = [
            c.ready_at for c in work.changes.values() if c.ready_at is not None and not c.owned
        ]
        if ready:
            self._expect(min(ready))
        if work.children or work.messages or any(work.awaits.values()):
            # Runs that have begun are ready, and what was kept for others may be in their inboxes.
            self._expect(self._clock.now())
        if self._doorbell.keeps_order and any(map(_lets_next_go, work.changes.values())):
            self._doorbell.ended()
        self._tell_others(work)
        if calls and not self.is_draining:
            self._transport.dispatch(calls)

    def _tell_others(self, work: Work) -> None:
        if self.senders:
            for key in work.answered:
                for reply in self.senders.pop(key, ()):
                    reply.give("answered")
        if self.watchers:
            for change in work.changes.values():
                self._tell_watchers(change)

    def _took_in(self, newcomer: Newcomer) -> None:
        row = newcomer.acceptance.run
        if row is None:
            self._doorbell.held(newcomer.submitted.request.source)
            return
        self._tell_watchers(row)
        if not row.owned and row.ready_at is not None:
            self._expect(row.ready_at)
        elif newcomer.moving is not None and row.owned:
            self._timers.watch(newcomer.moving)

    def _tell_watchers(self, row: NewRun | RunChange) -> None:
        if row.key in self.watchers and not row.owned and row.ready_at is None:
            for reply in self.watchers.pop(row.key):
                reply.give(row.status)
            self.senders.pop(row.key, None)


def _lets_next_go(change: RunChange) -> bool:
    return not change.owned and change.status in ("completed", "cancelled", "stopped")
