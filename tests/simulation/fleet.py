"""One seed with several nodes over one store: as `World`, and what only happens between nodes.

A node may stand still for longer than its lease and go on, lose its way to the store, have a clock
of its own, and lose a question or an answer; whoever is told `LeaseLost` does what a process does:
it forgets, joins again, and goes on, while its handlers and its senders stay.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from beltline.engine.node import Node
from beltline.engine.ports import LeaseLost, Posted, StoreAway, StoreBroken, StoreFull
from tests.simulation.options import SPAN_MS
from tests.simulation.outages import plan_outages
from tests.simulation.outside import SimulatedTransport
from tests.simulation.ports import (
    SimulatedBell,
    SimulatedClock,
    SimulatedMailbox,
    SimulatedReply,
)
from tests.simulation.record import Note
from tests.simulation.scheduler import START_MS
from tests.simulation.society import Hub
from tests.simulation.store import Fate, SimulatedStore
from tests.simulation.world import STEPS_OF_CLOCK_MS, World

LEASE_MS = 4_000
ENGINE = ("boot", "belt", "committer", "loader", "timers", "pulse", "releaser", "dispatcher")
ASTRAY = 0.2  # of the answers
FATES: tuple[Fate, ...] = ("unsent", "unanswered", "late")


class Process:
    """One process of a node: `life` tells it from those before and after it."""

    def __init__(self, number: int, clock: SimulatedClock) -> None:
        self.number = number
        self.clock = clock
        self.life = 0
        self.hub: Hub | None = None
        self.is_cut = False
        self.is_leaving = False


class Fleet(World):
    """Two to four nodes. The seed's options are those of `World`, and a few of its own."""

    def __init__(self, seed: int, *, crash_at: int | None = None) -> None:
        super().__init__(seed, crash_at=crash_at)
        chance = self._fleet_chance = Random(f"fleet {seed}")
        self._processes = []
        for number in range(chance.choice((2, 2, 3, 4))):
            clock = SimulatedClock(self._scheduler)
            clock.ahead_ms = chance.choice((0, 0, 300, 30_000, 7_000_000))
            self._processes.append(Process(number, clock))
        self._doubts = chance.choice((0.0, 0.02, 0.1))
        self._pauses = chance.randint(0, 3)
        self._cuts = chance.randint(0, 3)
        self.record.nodes = len(self._processes)
        self.record.memory_limit = self.options.moving_runs

    # Lives

    def _boot(self) -> None:
        for process in self._processes:
            self._boot_one(process)

    def _boot_one(self, process: Process) -> None:
        scheduler = self._scheduler
        self._life += 1
        process.life, process.is_leaving = self._life, False
        store = SimulatedStore(
            self._disk,
            self._pause_store,
            refuse=self._refuse,
            wrote=self._wrote,
            now=lambda: scheduler.now,
            lease_ms=LEASE_MS,
            doubt=partial(self._doubt, process),
            later=self._later,
            note=self._note,
            local_now=process.clock.now,
        )
        mailbox = SimulatedMailbox(scheduler)
        entropy = Random(f"entropy {process.life} {self._fleet_chance.random()}")
        node = Node(
            store=store,
            transport=SimulatedTransport(self._outside, process.life),
            definitions=self._configured(),
            mailbox=mailbox,
            clock=process.clock,
            entropy=entropy.randbytes,
            new_bell=lambda: SimulatedBell(scheduler, process.clock),
            new_reply=lambda: SimulatedReply(scheduler),
            report=self._report,
            limits=self.options.limits(),
        )
        process.hub = Hub(node, mailbox, store, process.number, process.life)
        self._spawn_in(process, "boot", self._join(process))

    def _spawn_in(self, process: Process, name: str, coroutine: Any) -> None:
        self._scheduler.spawn(name, coroutine, is_inside=True, process=process.number)

    async def _join(self, process: Process) -> None:
        hub = process.hub
        assert hub is not None
        while True:
            try:
                await hub.node.join()
                break
            except (StoreFull, StoreAway):
                await self._scheduler.sleep(500)
        if not process.is_leaving:
            self._society.hubs[process.number] = hub
        for name, coroutine in zip(ENGINE[1:], hub.node.coroutines(), strict=True):
            self._spawn_in(process, name, coroutine)

    def _step(self) -> None:
        try:
            self._scheduler.step()
        except StoreBroken:
            self._kill_process(self._current())
        except LeaseLost:
            self._begin_anew(self._current())
        self._crash_some()
        if self._scheduler.is_idle:
            self._look_inside()

    def _crash_some(self) -> None:
        chance = self._fleet_chance
        if self._scheduler.steps == self._crash_at:
            self._kill_process(self._processes[0])
        may_crash = self._crashes_left and not self._is_calm
        if may_crash and chance.random() < self.options.crash_rate:
            self._crashes_left -= 1
            self._kill_process(chance.choice(self._processes))

    def _current(self) -> Process:
        return self._processes[self._scheduler.me().process]

    def _begin_anew(self, process: Process) -> None:
        """What a process does whose membership has ended."""
        self._scheduler.drop_inside(process.number, ENGINE)
        self._society.hubs.pop(process.number, None)
        assert process.hub is not None
        process.hub.node.begin_anew()
        self._spawn_in(process, "boot", self._join(process))

    def _kill_process(self, process: Process) -> None:
        self._society.hubs.pop(process.number, None)
        self._scheduler.drop_inside(process.number)
        self._scheduler.paused.discard(process.number)
        process.hub = None
        process.life = 0
        delay = self._fleet_chance.choice((0, 100, 3_000, 9_000))
        self._scheduler.at(self._scheduler.now + delay, lambda: self._boot_again(process))

    def _boot_again(self, process: Process) -> None:
        if process.life == 0:
            self._boot_one(process)

    def _kill(self, life: int) -> None:
        """A poisonous call, or a crash in a commit, ends the process of this life."""
        for process in self._processes:
            if life and process.life == life and not self._is_calm:
                self._kill_process(process)

    async def _leave_cleanly(self, process: Process, life: int) -> None:
        hub = process.hub
        assert hub is not None
        hub.node.drain()
        process.is_leaving = True
        self._society.hubs.pop(process.number, None)
        await self._scheduler.sleep(300)
        self._scheduler.at(self._scheduler.now, lambda: self._end_cleanly(process, life))

    def _end_cleanly(self, process: Process, life: int) -> None:
        hub = process.hub
        if process.life != life or hub is None:
            return
        self._scheduler.drop_inside(process.number)
        self._spawn_in(process, "boot", self._say_goodbye(process, hub))

    async def _say_goodbye(self, process: Process, hub: Hub) -> None:
        # Where it cannot be said, others take the runs over in time.
        with suppress(StoreFull, StoreAway, LeaseLost):
            await hub.store.hand_over()
        self._scheduler.at(self._scheduler.now, lambda: self._kill_process(process))

    def _report(self, event: str, run: str, reason: str) -> None:
        if "taken over" not in event:  # which is no mistake
            super()._report(event, run, reason)

    # Faults between nodes

    def _doubt(self, process: Process) -> Fate:
        if self._is_calm:
            return ""
        if process.is_cut or self._fleet_chance.random() < self._doubts:
            return self._fleet_chance.choice(FATES[:2] if process.is_cut else FATES)
        return ""

    def _later(self, work: Any) -> None:
        delay = self._fleet_chance.choice((1, 40, 900, 5_000))
        self._scheduler.at(self._scheduler.now + delay, work)

    def _plan(self) -> None:
        chance = self._fleet_chance
        for _ in range(self._pauses):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._pause_one)
        for _ in range(self._cuts):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._cut_one)
        for _ in range(self.options.clean_stops):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._stop)
        for _ in range(self.options.jumps):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._jump)
        self._plan_steps_of_clocks()
        plan_outages(self._scheduler, self._outside, self.options, chance)
        self._society.plan()

    def _set_clock(self) -> None:
        """The clock of a node's machine is set, and the node is killed: its next life begins with
        what the clock says then, until it hears of the store's.
        """
        process = self._buffer_chance.choice(self._processes)
        self._note_clocks()
        process.clock.ahead_ms += self._buffer_chance.choice(STEPS_OF_CLOCK_MS)
        self._kill_process(process)

    def _jump(self) -> None:
        process = self._fleet_chance.choice(self._processes)
        process.clock.ahead_ms += self._fleet_chance.choice((700, 4_000, 60_000, 90_000_000))

    def _note_clocks(self) -> None:
        ahead = [process.clock.ahead_ms for process in self._processes]
        self._most_ahead_ms = max(self._most_ahead_ms, *ahead)

    def _put_clocks_right(self) -> None:
        if self._buffering.steps_of_clock:
            self._note_clocks()
            for process in self._processes:
                process.clock.ahead_ms = self._most_ahead_ms

    def _stop(self) -> None:
        process = self._fleet_chance.choice(self._processes)
        if process.number in self._society.hubs and not process.is_leaving:
            leaving = self._leave_cleanly(process, process.life)
            self._spawn_in(process, "leaving", leaving)

    def _pause_one(self) -> None:
        """It stands still, for longer than its lease or not."""
        number = self._fleet_chance.choice(self._processes).number
        self._scheduler.paused.add(number)
        length = self._fleet_chance.choice((500, LEASE_MS + 1_000, 3 * LEASE_MS))
        until = self._scheduler.now + length
        self._scheduler.at(until, lambda: self._scheduler.paused.discard(number))

    def _cut_one(self) -> None:
        process = self._fleet_chance.choice(self._processes)
        process.is_cut = True
        until = self._scheduler.now + self._fleet_chance.choice((300, LEASE_MS, 3 * LEASE_MS))
        self._scheduler.at(until, lambda: setattr(process, "is_cut", False))

    def _calm_down(self) -> None:
        self._scheduler.paused.clear()
        super()._calm_down()

    # What is seen

    def _deliver(self, posted: Posted, life: int) -> None:
        """An answer arrives where its call came from, if that life lasts, as by every transport;
        while faults are on, now and then at any process that is up.
        """
        up = [process for process in self._processes if process.hub is not None]
        if self._is_calm or self._fleet_chance.random() >= ASTRAY:
            up = [process for process in up if process.life == life]
        if up:
            hub = self._fleet_chance.choice(up).hub
            assert hub is not None
            hub.mailbox.post([posted])

    def _note(self, what: str, *about: Any) -> None:
        at, now = self._scheduler.steps, self._scheduler.now
        notes = self.record.notes
        if what == "left":
            super()._note(what, *about)
        elif what == "ended":
            ended, own = about
            for member in ended:
                if member in self._disk.members:
                    until = self._disk.members[member].lease_until
                    notes.append(Note(what, member, at, (), member == own, until, now))
        elif what == "took":
            notes.append(Note(what, about[0], at, tuple(about[1])))
        elif what == "wrote":
            notes.append(Note(what, about[0], at, (about[1],)))
        else:
            notes.append(Note(what, about[0], at))

    def _take_stock(self) -> None:
        super()._take_stock()
        self.record.ended_at = self._scheduler.now
        self.record.unended = [
            (number, member.lease_until)
            for number, member in self._disk.members.items()
            if not member.has_ended
        ]
