"""One seed: the production engine between a simulated store, senders, people and handlers.

    faults on, for a span of virtual time          anything may be lost, late, twice, refused; the
                                                   process dies at any await and starts again
    faults off                                     everything that was accepted must come to an end
    the record                                     goes to the checkers

`Node` and all below it are the engine's own code; only its ports are simulated.
"""

from __future__ import annotations

from collections.abc import Coroutine
from hashlib import blake2b
from random import Random
from typing import Any

from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Posted, StoreBroken, StoreFull
from beltline.engine.records import JournalRow, StoredVersion
from tests.simulation import workload
from tests.simulation.disk import Disk
from tests.simulation.options import SPAN_MS, Options, draw, with_few_crashes
from tests.simulation.outages import plan_outages
from tests.simulation.outside import Outside, SimulatedTransport
from tests.simulation.ports import (
    SimulatedBell,
    SimulatedClock,
    SimulatedMailbox,
    SimulatedReply,
)
from tests.simulation.processes import SimulatedProcesses
from tests.simulation.record import Crash, Record, Sample
from tests.simulation.rules import SimulatedRules
from tests.simulation.scheduler import START_MS, Scheduler
from tests.simulation.society import WINDOW_MS, Hub, Society
from tests.simulation.sources import draw_buffering
from tests.simulation.state import state_of
from tests.simulation.stock import departure, take_stock
from tests.simulation.store import Moment, SimulatedStore
from tests.simulation.workers import Workers

CALM_MS = 900_000  # all must have ended this long after the last fault
NO_MISTAKES = ("taken over", "waited in their buffers", "connection")
STEPS_OF_CLOCK_MS = (-4_000, -60_000, -3_600_000, 4_000, 3_600_000)
STEPS_MOST = 60_000  # of the scheduler; a seed that needs more goes round in circles


class World:
    """All that there is in one seed; `crash_at` adds a crash after that step."""

    def __init__(
        self, seed: int, options: Options | None = None, *, crash_at: int | None = None
    ) -> None:
        chance = Random(f"world {seed}")
        self.options = options or draw(chance)
        self._chance = chance
        self._scheduler = Scheduler(
            Random(f"scheduler {seed}"),
            tick=self.options.tick,
            stickiness=self.options.stickiness,
            laggard=self.options.laggard,
        )
        self._clock = SimulatedClock(self._scheduler)
        self._disk = Disk()
        self._life = 0
        self._crash_at = crash_at
        self._is_calm = self._has_recovered = False
        self._crashes_left = self.options.crashes
        self._full_left = 0
        self._sampled: set[tuple[bytes, int]] = set()
        self._buffer_chance = Random(f"clocks of buffers {seed}")
        self._machine_ahead_ms = self._most_ahead_ms = 0
        self._definitions = self._publish()
        names = [definition["process"] for definition in self._definitions]
        self._buffering = draw_buffering(seed, names)
        if self._buffering.few_faults and options is None:
            self.options = with_few_crashes(self.options)
        self.record = Record({d["process"]: d for d in self._definitions}, WINDOW_MS)
        self.record.memory_limit = self.options.moving_runs
        self.record.rate_per_s = self.options.rate_per_s
        self.record.burst = self.options.burst
        self._outside = Outside(
            self._scheduler,
            Random(f"outside {seed}"),
            self.options,
            self.record,
            self._deliver,
            lambda key, answer: self._workers.bring(key, answer),  # noqa: PLW0108 - made below
            Random(f"later {seed}"),
            self._kill,
        )
        self._society = Society(
            self._scheduler,
            chance,
            self.options,
            self.record,
            self._disk,
            self._clock,
            self._buffering,
            seed,
        )
        self._workers = Workers(self._scheduler, self._society, self.record)

    def run(self) -> Record:
        """Plays the seed to its end."""
        self._boot()
        self._plan()
        while self._scheduler.now < START_MS + SPAN_MS and self._within_steps():
            self._step()
        self._calm_down()
        end = self._scheduler.now + CALM_MS
        while not self._all_ended() and self._scheduler.now < end and self._within_steps():
            self._step()
        self._take_stock()
        return self.record

    def close(self) -> None:
        """Drops what still runs."""
        self._scheduler.close()

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self._scheduler.steps

    def trace_hash(self) -> str:
        """What happened, in one number: every choice of the scheduler and every durable row."""
        digest = blake2b(self._scheduler.trace.tobytes(), digest_size=8)
        for at, key, seq, entry in self.record.rows:
            digest.update(b"%d %s %d %s" % (at, key, seq, entry))
        for call in self.record.calls:
            digest.update(repr((call.key, call.step, call.attempt, call.at)).encode())
        return digest.hexdigest()

    # The process, its life and death

    def _publish(self) -> list[dict[str, Any]]:
        """A few of the processes, published before the first start."""
        every = workload.definitions()
        chosen = self._chance.sample(range(len(every)), 3)
        for number in chosen:
            name, text = workload.texts()[number]
            version = StoredVersion(
                len(self._disk.versions) + 1, name, 1, "json", text, "", START_MS
            )
            self._disk.versions.append(version)
        return [every[number] for number in chosen]

    def _boot(self) -> None:
        scheduler = self._scheduler
        self._life += 1
        self._has_recovered = False
        # A process begins with what the machine's clock says, and counts on from there.
        self._clock.ahead_ms = ahead = self._machine_ahead_ms
        store = SimulatedStore(
            self._disk,
            self._pause_store,
            refuse=self._refuse,
            wrote=self._wrote,
            now=lambda: scheduler.now + ahead,
            note=self._note,
        )
        mailbox = SimulatedMailbox(scheduler)
        entropy = Random(f"entropy {self._life} {self._chance.random()}")
        node = Node(
            store=store,
            transport=SimulatedTransport(self._outside, self._life),
            definitions=self._configured(),
            mailbox=mailbox,
            clock=self._clock,
            entropy=entropy.randbytes,
            new_bell=lambda: SimulatedBell(scheduler, self._clock),
            new_reply=lambda: SimulatedReply(scheduler),
            report=self._report,
            limits=self.options.limits(),
        )
        self._spawn("boot", self._start(node, mailbox, store))

    def _report(self, event: str, run: str, reason: str) -> None:
        if not any(words in event for words in NO_MISTAKES):
            self.record.reports.append(f"{event}: {reason}")

    def _configured(self) -> Definitions:
        processes = SimulatedProcesses(self._disk.versions, self._scheduler)
        sources = self._society.buffers.sources
        return Definitions(processes, sources, SimulatedRules(self.options))

    async def _start(self, node: Node, mailbox: SimulatedMailbox, store: SimulatedStore) -> None:
        while True:
            try:
                await node.join()
            except StoreFull:
                await self._scheduler.sleep(1_000)
            else:
                break
        self._has_recovered = True
        self._society.hubs[0] = Hub(node, mailbox, store, life=self._life)
        names = ("belt", "committer", "loader", "timers", "pulse", "releaser", "dispatcher")
        for name, coroutine in zip(names, node.coroutines(), strict=True):
            self._spawn(name, coroutine)

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        self._scheduler.spawn(name, coroutine, is_inside=True)

    def _die(self) -> None:
        self._note_crash()
        self._end_life()
        self._boot_soon()

    def _note_crash(self) -> None:
        owned: tuple[bytes, ...] = ()
        if self._has_recovered:  # else they were owned by the life before
            owned = tuple(key for key, row in self._disk.runs.items() if row.owned)
        self.record.crashes.append(Crash(self._scheduler.steps, self._life, owned))

    def _end_life(self) -> None:
        self._society.hubs.clear()
        self._scheduler.drop_inside()
        self._life += 1  # answers and kills of the old one find nobody

    def _boot_soon(self) -> None:
        delay = self._chance.choice((0, 100, 3_000))
        self._scheduler.at(self._scheduler.now + delay, self._boot)

    def _kill(self, life: int) -> None:
        """A poisonous call ends the process that made it."""
        if life == self._life and self._society.hubs and not self._is_calm:
            self._die()

    async def _stop_cleanly(self, node: Node, store: SimulatedStore) -> None:
        """What the hub does on a signal: finish what is under way, and let go of the rest."""
        node.drain()
        await self._scheduler.sleep(300)
        await node.flush()
        life = self._life
        self._scheduler.at(self._scheduler.now, lambda: self._leave(store, life))

    def _leave(self, store: SimulatedStore, life: int) -> None:
        if life != self._life:
            return  # it died before it could leave
        self._end_life()
        self._spawn("leaving", self._hand_over(store))

    async def _hand_over(self, store: SimulatedStore) -> None:
        try:
            await store.hand_over()
        except StoreFull:
            self._note_crash()  # the next start finds runs that nobody let go of
        self._boot_soon()

    def _step(self) -> None:
        """One step, and perhaps a fault after it."""
        try:
            self._scheduler.step()
        except StoreBroken:
            self._die()
        may_crash = self._crashes_left and not self._is_calm and self._is_alive()
        if may_crash and self._chance.random() < self.options.crash_rate:
            self._crashes_left -= 1
            self._die()
        if self._scheduler.steps == self._crash_at and self._is_alive():
            self._die()
        if self._scheduler.is_idle:
            self._look_inside()

    def _is_alive(self) -> bool:
        return any(task.is_inside for task in self._scheduler.tasks())

    def _within_steps(self) -> bool:
        return self._scheduler.steps < STEPS_MOST

    # Faults of the store

    async def _pause_store(self, moment: Moment) -> None:
        may_crash = moment == "durable" and self._crashes_left and not self._is_calm
        if may_crash and self._chance.random() < self.options.crash_after_commit:
            # What was asked for has happened, and nobody will be told.
            self._crashes_left -= 1
            life = self._life
            self._scheduler.at(self._scheduler.now, lambda: self._kill(life))
        await self._scheduler.pause()
        if not self._is_calm and self._chance.random() < self.options.slow_store:
            await self._scheduler.sleep(self._chance.choice((3, 40, 1_500)))

    def _refuse(self) -> Exception | None:
        if self._is_calm:
            return None
        if self._full_left:
            self._full_left -= 1
            return StoreFull("no room is left on the disk")
        if self._chance.random() < self.options.full:
            self._full_left = self._chance.randint(0, 3)
            return StoreFull("no room is left on the disk")
        if self._chance.random() < self.options.broken:
            return StoreBroken("the disk gave an error")
        return None

    def _note(self, what: str, *about: Any) -> None:
        if what == "left":
            at, now = self._scheduler.steps, self._scheduler.now
            self.record.departures.append(departure(about[0], at, now))

    def _wrote(self, row: JournalRow) -> None:
        self.record.rows.append((self._scheduler.steps, row.key, row.seq, row.entry))

    # Answers

    def _deliver(self, posted: Posted, _life: int) -> None:
        """An answer arrives: at whatever process is up, also at one that did not ask."""
        hub = self._society.hub
        if hub is not None:
            hub.mailbox.post([posted])

    # Faults of time and of life

    def _plan(self) -> None:
        chance = self._chance
        for _ in range(self.options.jumps):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._jump)
        for _ in range(self.options.clean_stops):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._stop)
        self._plan_steps_of_clocks()
        plan_outages(self._scheduler, self._outside, self.options, chance)
        self._society.plan()

    def _plan_steps_of_clocks(self) -> None:
        chance = self._buffer_chance
        for _ in range(self._buffering.steps_of_clock):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._set_clock)

    def _jump(self) -> None:
        """The machine's clock is set forwards."""
        self._put_clock(self._chance.choice((700, 4_000, 60_000, 90_000_000)))

    def _set_clock(self) -> None:
        """The machine's clock is set, backwards too: the process goes on from where it is, and the
        next one begins with what the clock says then.
        """
        self._put_clock(self._buffer_chance.choice(STEPS_OF_CLOCK_MS))

    def _put_clock(self, by_ms: int) -> None:
        self.record.clock_was_set = True
        self._machine_ahead_ms += by_ms
        self._most_ahead_ms = max(self._most_ahead_ms, self._machine_ahead_ms)
        self._clock.ahead_ms = max(self._clock.ahead_ms, self._machine_ahead_ms)

    def _stop(self) -> None:
        hub = self._society.hub
        if hub is not None:
            self._spawn("stop", self._stop_cleanly(hub.node, hub.store))

    # The calm part

    def _calm_down(self) -> None:
        """From here on nothing fails, and people look after what stopped."""
        self._is_calm = self._outside.is_calm = True
        self.record.calm_at = self._scheduler.now
        self._put_clocks_right()
        self._outside.is_away = False
        self._society.calm_down()

    def _put_clocks_right(self) -> None:
        """What is due at a time that a clock once showed has its time."""
        self._machine_ahead_ms = self._most_ahead_ms
        self._clock.ahead_ms = max(self._clock.ahead_ms, self._most_ahead_ms)

    def _all_ended(self) -> bool:
        return (
            all(row.status in ("completed", "cancelled") for row in self._disk.runs.values())
            and not self._disk.inbox
            and not self._disk.held
            and all(sending.told or not sending.identity for sending in self.record.sendings)
        )

    # What is seen

    def _look_inside(self) -> None:
        """Keeps what is in memory now, if all of it is durable."""
        for hub in self._society.hubs.values():
            self._look_into(hub)

    def _look_into(self, hub: Hub) -> None:
        node, store = hub.node, hub.store
        in_memory = len(node.runs) + node.runs.loading
        self.record.most_in_memory = max(self.record.most_in_memory, in_memory)
        if store.under_way or len(node.committer.gathering) or node.committer.trouble:
            return
        for key in list(self._disk.runs):
            moving = node.runs.get(key)
            if moving is None or (key, moving.run.seq) in self._sampled:
                continue
            if not store.is_owner(key):
                continue  # others took it over, and this node has not noticed yet
            self._sampled.add((key, moving.run.seq))
            self.record.samples.append(Sample(key, moving.run.seq, state_of(moving.run)))

    def _take_stock(self) -> None:
        self.record.ended_in_time = self._all_ended()
        take_stock(self.record, self._disk)
