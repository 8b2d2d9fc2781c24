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

import msgspec

from beltline.core.inputs import Cancel, Command, GoTo, Retry, Skip, encode_command
from beltline.core.model import Process
from beltline.engine.ids import id_of
from beltline.engine.node import Node
from beltline.engine.ports import (
    JournalRow,
    NewRequest,
    NotFound,
    Posted,
    Repeat,
    StoreBroken,
    StoredVersion,
    StoreFull,
)
from beltline.engine.work import Accepted
from tests.simulation import workload
from tests.simulation.options import SPAN_MS, Options, draw
from tests.simulation.outside import Outside, SimulatedTransport
from tests.simulation.ports import (
    SimulatedBell,
    SimulatedClock,
    SimulatedMailbox,
    SimulatedReply,
)
from tests.simulation.record import Asked, Crash, Record, Sample, Sending, Stored
from tests.simulation.scheduler import START_MS, Scheduler
from tests.simulation.state import state_of
from tests.simulation.store import Disk, Moment, SimulatedStore

CALM_MS = 900_000  # all must have ended this long after the last fault
STEPS_MOST = 60_000  # of the scheduler; a seed that needs more goes round in circles
WINDOW_MS = 86_400_000
LOOK_MS = 15_000  # how often people look after stopped runs in the calm part


class SimulatedProcesses:
    """Fulfils `engine.loader.Processes`; reading a definition takes its time."""

    def __init__(self, versions: list[StoredVersion], scheduler: Scheduler) -> None:
        self._versions = versions
        self._scheduler = scheduler

    async def by_id(self, version_id: int) -> Process:
        """The process of a version."""
        await self._scheduler.pause()
        stored = self._versions[version_id - 1]
        return workload.compiled(stored.text, stored.process, stored.version)


class World:
    """All that there is in one seed."""

    def __init__(self, seed: int, options: Options | None = None) -> None:
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
        self._node: Node | None = None
        self._mailbox: SimulatedMailbox | None = None
        self._store: SimulatedStore | None = None
        self._life = 0
        self._is_calm = False
        self._has_recovered = False
        self._crashes_left = self.options.crashes
        self._full_left = 0
        self._sampled: set[tuple[bytes, int]] = set()
        self._looked: dict[bytes, int] = {}
        self._definitions = self._publish()
        self.record = Record({d["process"]: d for d in self._definitions}, WINDOW_MS)
        self.record.memory_limit = self.options.moving_runs
        self._outside = Outside(
            self._scheduler,
            Random(f"outside {seed}"),
            self.options,
            self.record,
            self._deliver,
            self._kill,
        )

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
        store = SimulatedStore(
            self._disk, self._pause_store, refuse=self._refuse, wrote=self._wrote
        )
        mailbox = SimulatedMailbox(scheduler)
        entropy = Random(f"entropy {self._life} {self._chance.random()}")
        node = Node(
            store=store,
            transport=SimulatedTransport(self._outside, self._life),
            processes=SimulatedProcesses(self._disk.versions, scheduler),
            mailbox=mailbox,
            clock=self._clock,
            entropy=entropy.randbytes,
            new_bell=lambda: SimulatedBell(scheduler, self._clock),
            new_reply=lambda: SimulatedReply(scheduler),
            report=lambda event, run, reason: self.record.reports.append(f"{event}: {reason}"),
            limits=self.options.limits(),
        )
        self._spawn("boot", self._start(node, mailbox, store))

    async def _start(self, node: Node, mailbox: SimulatedMailbox, store: SimulatedStore) -> None:
        while True:
            try:
                await node.recover()
            except StoreFull:
                await self._scheduler.sleep(1_000)
            else:
                break
        self._has_recovered = True
        self._node, self._mailbox, self._store = node, mailbox, store
        names = ("belt", "committer", "loader", "timers")
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
        self._node = self._mailbox = self._store = None
        self._scheduler.drop_inside()
        self._life += 1  # answers and kills of the old one find nobody

    def _boot_soon(self) -> None:
        delay = self._chance.choice((0, 100, 3_000))
        self._scheduler.at(self._scheduler.now + delay, self._boot)

    def _kill(self, life: int) -> None:
        """A poisonous call ends the process that made it."""
        if life == self._life and self._node is not None and not self._is_calm:
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
        if self._crashes_left and not self._is_calm and self._is_alive():
            if self._chance.random() < self.options.crash_rate:
                self._crashes_left -= 1
                self._die()
        if self._scheduler.is_idle:
            self._look_inside()

    def _is_alive(self) -> bool:
        return any(task.is_inside for task in self._scheduler.tasks())

    def _within_steps(self) -> bool:
        return self._scheduler.steps < STEPS_MOST

    # Faults of the store

    async def _pause_store(self, moment: Moment) -> None:
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

    def _wrote(self, row: JournalRow) -> None:
        self.record.rows.append((self._scheduler.steps, row.key, row.seq, row.entry))

    # Answers

    def _deliver(self, posted: Posted) -> None:
        """An answer arrives: at whatever process is up, also at one that did not ask."""
        if self._mailbox is not None:
            self._mailbox.post([posted])

    # What is asked of the hub

    def _plan(self) -> None:
        options, chance = self.options, self._chance
        for number in range(options.requests):
            sending = self._new_sending(number)
            when = chance.randint(0, options.spread_ms)
            self._send_at(when, sending)
            if sending.identity is not None:
                while chance.random() < options.repeats / 2:
                    again = msgspec.structs.replace(sending)
                    if chance.random() < 0.2:
                        again.body = b'{"n":7}'
                    self._send_at(chance.choice((when, chance.randint(0, SPAN_MS))), again)
        for _ in range(options.commands):
            when = START_MS + chance.randint(0, SPAN_MS)
            self._scheduler.at(when, self._command)
        for _ in range(chance.randint(0, 3)):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._release)
        for _ in range(options.jumps):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._jump)
        for _ in range(options.clean_stops):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._stop)

    def _new_sending(self, number: int) -> Sending:
        options, chance = self.options, self._chance
        body: dict[str, Any] = {"n": chance.randrange(3), "number": number}
        if chance.random() < options.poison:
            body["poison"] = True
        identity = f"lead-{number}" if chance.random() < options.identities else None
        sending = Sending(
            source="form",
            process=chance.choice(self._definitions)["process"],
            body=msgspec.json.encode(body),
            identity=identity,
            held=chance.random() < options.held,
        )
        if sending.held:
            sending.source = f"held-{sending.process}"
        return sending

    def _send_at(self, delay_ms: int, sending: Sending) -> None:
        self.record.sendings.append(sending)
        self._scheduler.at(START_MS + delay_ms, lambda: self._try_to_send(sending))

    def _try_to_send(self, sending: Sending) -> None:
        """A sender tries until it is told something; without an identity only when nothing was
        sent yet, since it could not tell a second request from a repeat.
        """
        if sending.told:
            return
        if self._node is not None and (sending.identity or not sending.sent_at_ms):
            self._spawn("sender", self._send(sending, self._node))
        if sending.identity or not sending.sent_at_ms:
            again = self._scheduler.now + self._chance.choice((1_000, 5_000))
            self._scheduler.at(again, lambda: self._try_to_send(sending))

    async def _send(self, sending: Sending, node: Node) -> None:
        key, now = node.intake.new_key()
        sending.sent_at_ms = now
        version = next(v for v in self._disk.versions if v.process == sending.process)
        request = NewRequest(
            key=key,
            source=sending.source,
            process=sending.process,
            accepted_at=now,
            body=sending.body,
            meta=b'{"id":"%s"}' % id_of(key).encode(),
            body_hash=blake2b(sending.body, digest_size=8).digest(),
            identity=sending.identity,
            identity_until=now + WINDOW_MS if sending.identity else 0,
            held=sending.held,
        )
        process = workload.compiled(version.text, version.process, version.version)
        answer = await node.intake.submit(
            request, version.id, None if sending.held else process
        )
        if sending.told:
            return
        sending.told_at = self._scheduler.steps
        if isinstance(answer, Accepted):
            sending.told, sending.key = "accepted", answer.key
        elif isinstance(answer, Repeat):
            sending.told, sending.key, sending.same_body = "repeat", answer.key, answer.same_body
        elif not self._is_calm and self._chance.random() < 0.5:
            sending.told = "refused"  # this sender gives up
        else:
            sending.sent_at_ms = 0

    def _release(self) -> None:
        """A person, or a schedule, releases what a source holds back."""
        if self._node is not None and self._store is not None:
            self._spawn("release", self._release_some(self._node, self._store))

    async def _release_some(self, node: Node, store: SimulatedStore) -> None:
        for version in self._disk.versions:
            limit = self._chance.randint(1, 3)
            try:
                await store.release(f"held-{version.process}", version.id, self._clock.now(), limit)
            except StoreFull:
                return
        node.loader.expect(self._clock.now())
        node.loader.ring()

    def _jump(self) -> None:
        """The machine's clock is set forwards."""
        self._clock.ahead_ms += self._chance.choice((700, 4_000, 60_000, 90_000_000))

    def _stop(self) -> None:
        if self._node is not None and self._store is not None:
            self._spawn("stop", self._stop_cleanly(self._node, self._store))

    # People

    def _command(self) -> None:
        """A person does something to some run, through the API or by the command line."""
        runs = list(self._disk.runs)
        if not runs:
            return
        key = self._chance.choice(runs)
        name = self._disk.requests[key].process
        steps = [step["id"] for step in self.record.definitions[name]["steps"]]
        step = self._chance.choice([None, None, *steps])
        self._order(key, self._some_command(step, self._chance.choice(steps)))

    def _some_command(self, step: str | None, to: str) -> Command:
        mark = f"person-{len(self.record.commands)}"
        chance = self._chance
        if chance.random() < self.options.rude_commands / 2:
            return Cancel(mark)
        kind = chance.choice(("retry", "retry", "given", "skip", "goto"))
        if kind == "retry":
            return Retry(step, by=mark)
        if kind == "given":
            return Retry(step, {"n": 8}, by=mark)
        if kind == "skip":
            return Skip(step, {"v": chance.randrange(4)}, by=mark)
        return GoTo(to, step, by=mark)

    def _order(self, key: bytes, command: Command) -> None:
        plain = isinstance(command, Retry) and command.given is None
        kind = str(type(command).__struct_config__.tag)
        mark = command.reason if isinstance(command, Cancel) else command.by
        asked = Asked(key, kind, mark, plain)
        self.record.commands.append(asked)
        if self._chance.random() < 0.5 and self._node is not None and self._store is not None:
            self._spawn("person", self._by_api(self._node, self._store, asked, command))
        else:
            self._scheduler.spawn("person", self._by_cli(asked, command), is_inside=False)

    async def _by_api(
        self, node: Node, store: SimulatedStore, asked: Asked, command: Command
    ) -> None:
        try:
            await store.post(asked.key, encode_command(command), self._clock.now())
        except StoreFull:
            return
        asked.posted = True
        node.loader.expect(self._clock.now())
        node.loader.ring()

    async def _by_cli(self, asked: Asked, command: Command) -> None:
        """Another program writes to the inbox; nobody here is told."""
        pause = self._scheduler.pause
        store = SimulatedStore(self._disk, lambda moment: pause())
        await store.post(asked.key, encode_command(command), self._clock.now())
        asked.posted = True

    # The calm part

    def _calm_down(self) -> None:
        """From here on nothing fails, and people look after what stopped."""
        self._is_calm = self._outside.is_calm = True
        self._look_after()

    def _look_after(self) -> None:
        """Releases what is held, and mends stopped runs: retry, then skip, then cancel."""
        if self._disk.held:
            self._release()
        for key, row in list(self._disk.runs.items()):
            if row.status != "stopped" or row.owned:
                continue
            times = self._looked[key] = self._looked.get(key, 0) + 1
            mark = f"person-{len(self.record.commands)}"
            if times <= 2:
                self._order(key, Retry(by=mark))
            elif times <= 8:
                self._order(key, Skip(self._dead_step(key), {"v": 9}, by=mark))
            else:
                self._order(key, Cancel(mark))
        self._scheduler.at(self._scheduler.now + LOOK_MS, self._look_after)

    def _dead_step(self, key: bytes) -> str | None:
        """Where the page of the run shows a dead letter."""
        for row in reversed(self._disk.journal.get(key, [])):
            for event in reversed(msgspec.json.decode(row.entry)[2]):
                if event[0] == "step-failed" and event[5] == "dead-letter":
                    return str(event[1])
        return None

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
        node, store = self._node, self._store
        if node is None or store is None:
            return
        in_memory = len(node.runs) + node.runs.loading
        self.record.most_in_memory = max(self.record.most_in_memory, in_memory)
        if store.under_way or len(node.committer.gathering) or node.committer.is_full:
            return
        for key in list(self._disk.runs):
            moving = node.runs.get(key)
            if moving is None or (key, moving.run.seq) in self._sampled:
                continue
            self._sampled.add((key, moving.run.seq))
            self.record.samples.append(Sample(key, moving.run.seq, state_of(moving.run)))

    def _take_stock(self) -> None:
        record, disk = self.record, self._disk
        record.ended_in_time = self._all_ended()
        record.inbox = len(disk.inbox)
        record.held = len(disk.held)
        record.statuses = {key: row.status for key, row in disk.runs.items()}
        record.requests = {
            key: Stored(
                request.source,
                request.process,
                request.body,
                request.meta,
                request.identity,
                request.identity_until,
                request.accepted_at,
            )
            for key, request in disk.requests.items()
        }
