"""Who deals with the hub from outside: senders with their requests, people with their commands.

Senders try again until they are told something, if their request has an identity; people act
through the API of a hub that is up, or by the command line, which writes to the store by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

import msgspec

from beltline.core.inputs import (
    Cancel,
    Command,
    EventArrived,
    GoTo,
    Resolve,
    Retry,
    Skip,
    encode_message,
)
from beltline.core.limits import PRODUCTION
from beltline.engine.ids import id_of
from beltline.engine.node import Node
from beltline.engine.outside_events import give
from beltline.engine.ports import StoreAway, StoreFull
from beltline.engine.records import NewRequest, ReleaseOrder, Repeat
from beltline.engine.work import Accepted, Refused
from tests.simulation import workload
from tests.simulation.buffer_people import BufferPeople
from tests.simulation.disk import Disk
from tests.simulation.options import SPAN_MS, Options
from tests.simulation.ports import SimulatedClock, SimulatedMailbox
from tests.simulation.processes import SimulatedProcesses
from tests.simulation.record import Asked, Brought, Record, Sending
from tests.simulation.scheduler import START_MS, Scheduler
from tests.simulation.sources import Buffering
from tests.simulation.store import SimulatedStore

WINDOW_MS = 86_400_000  # for which an identity holds
KEEP_MS = 10_000  # for which an event is kept
LOOK_MS = 15_000  # how often people look after stopped runs in the calm part


class Hub(NamedTuple):
    """A hub that is up; `process` is the number of its process, `life` that of its present life."""

    node: Node
    mailbox: SimulatedMailbox
    store: SimulatedStore
    process: int = 0
    life: int = 0


class Society:
    """Senders and people; they deal with any of the `hubs` that are up."""

    def __init__(
        self,
        scheduler: Scheduler,
        chance: Random,
        options: Options,
        record: Record,
        disk: Disk,
        clock: SimulatedClock,
        buffering: Buffering,
        seed: int,
    ) -> None:
        versions = SimulatedProcesses(disk.versions, scheduler)
        own = Random(f"people of buffers {seed}")
        self.buffers = BufferPeople(scheduler, own, buffering, record, versions, self._reach)
        self._scheduler = scheduler
        self._chance = chance
        self.options = options
        self.record = record
        self._disk = disk
        self._clock = clock
        self._looked: dict[bytes, int] = {}
        self.hubs: dict[int, Hub] = {}
        self._is_calm = False

    @property
    def hub(self) -> Hub | None:
        """One that is up: whichever a balancer chooses."""
        if len(self.hubs) > 1:
            return self.hubs[self._chance.choice(sorted(self.hubs))]
        return next(iter(self.hubs.values()), None)

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None], hub: Hub) -> None:
        """What the hub does for somebody; it ends with its process."""
        self._scheduler.spawn(name, coroutine, is_inside=True, process=hub.process)

    def _reach(self, name: str, do: Callable[[Node], Coroutine[Any, Any, None]]) -> None:
        hub = self.hub
        if hub is not None:
            self.spawn(name, do(hub.node), hub)

    # Senders

    def plan(self) -> None:
        """All that will be asked of the hub, and when."""
        options, chance = self.options, self._chance
        for sending in self.buffers.sendings():
            self._send_at(self.buffers.when(), sending)
        self.buffers.plan()
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
        for number in range(options.events):
            brought = Brought(f"event-{number}", ("paid", str(chance.randrange(3))))
            self.record.events.append(brought)
            when = START_MS + chance.randint(0, SPAN_MS)
            self._scheduler.at(when, partial(self._try_to_bring, brought))
        for _ in range(chance.randint(0, 3)):
            self._scheduler.at(START_MS + chance.randint(0, SPAN_MS), self._release)

    def _new_sending(self, number: int) -> Sending:
        options, chance = self.options, self._chance
        body: dict[str, Any] = {"n": chance.randrange(3), "number": number}
        if chance.random() < options.poison:
            body["poison"] = True
        identity = f"lead-{number}" if chance.random() < options.identities else None
        sending = Sending(
            source="form",
            process=chance.choice(list(self.record.definitions)),
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
        hub = self.hub
        if hub is not None and (sending.identity or not sending.sent_at_ms):
            sending.sent_at_ms = self._scheduler.now  # also where that node stands still
            sending.sent_at, sending.life = self._scheduler.steps, hub.life
            self.spawn("sender", self._send(sending, hub.node), hub)
        if sending.identity or not sending.sent_at_ms:
            again = self._scheduler.now + self._chance.choice((1_000, 5_000))
            self._scheduler.at(again, lambda: self._try_to_send(sending))

    async def _send(self, sending: Sending, node: Node) -> None:
        version = next(v for v in self._disk.versions if v.process == sending.process)
        if sending.source in self.buffers.sources:
            try:
                request = await self.buffers.request(sending, node)
            except StoreAway:
                sending.sent_at_ms = 0
                return
        else:
            request = self._request(sending, node)
        process = workload.compiled(version.text, version.process, version.version)
        answer = await node.intake.submit(request, version.id, None if request.held else process)
        self._tell(sending, answer, request)

    def _request(self, sending: Sending, node: Node) -> NewRequest:
        key, now = node.intake.new_key()
        return NewRequest(
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

    def _tell(
        self, sending: Sending, answer: Accepted | Repeat | Refused, request: NewRequest
    ) -> None:
        if sending.told:
            return
        sending.told_at = self._scheduler.steps
        if isinstance(answer, Accepted):
            sending.told, sending.key = "accepted", answer.key
            # Of this try, while others may be under way.
            sending.sent_at_ms, sending.held = request.accepted_at, request.held
        elif isinstance(answer, Repeat):
            sending.told, sending.key, sending.same_body = "repeat", answer.key, answer.same_body
        elif answer.is_in_doubt and not sending.identity:
            sending.told = "in doubt"  # who cannot be recognised does not try again
        elif not self._is_calm and self._chance.random() < 0.5:
            sending.told = "refused"  # this sender gives up
        else:
            sending.sent_at_ms = 0

    def _try_to_bring(self, brought: Brought) -> None:
        """Who brings an event tries until it is told that it is durable."""
        if brought.is_told:
            return
        hub = self.hub
        if hub is not None:
            keep_until = self._clock.now() + KEEP_MS
            if not brought.sent_at:
                brought.sent_at, brought.keep_until = self._scheduler.steps, keep_until
            # Of several tries any may be the one that counts, and clocks are set back.
            brought.keep_until = min(brought.keep_until, keep_until)
            self.spawn("bringer", self._bring(brought, hub.node, hub.store), hub)
        again = self._scheduler.now + self._chance.choice((1_000, 5_000))
        self._scheduler.at(again, lambda: self._try_to_bring(brought))

    async def _bring(self, brought: Brought, node: Node, store: SimulatedStore) -> None:
        arrived = EventArrived(brought.id, *brought.place, {"v": 1}, self._clock.now())
        try:
            taken = await give(store, arrived, KEEP_MS, limits=PRODUCTION)
        except StoreFull:
            return
        if not brought.is_told:
            brought.is_told, brought.runs = True, taken.runs
            brought.told_at = self._scheduler.steps
        node.loader.expect(self._clock.now())

    def _release(self) -> None:
        """A person, or a schedule, releases what a source holds back."""
        hub = self.hub
        if hub is not None:
            self.spawn("release", self._release_some(hub.node, hub.store), hub)

    async def _release_some(self, node: Node, store: SimulatedStore) -> None:
        for version in self._disk.versions:
            limit = self._chance.randint(1, 3)
            try:
                order = ReleaseOrder(
                    f"held-{version.process}", {version.process: version.id}, limit
                )
                await store.release(order, self._clock.now())
            except StoreFull:
                return
        node.loader.expect(self._clock.now())
        node.loader.ring()

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
            return Cancel(mark, undo=len(self.record.commands) % 2 == 0)
        kind = chance.choice(("retry", "retry", "given", "skip", "goto", "resolve", "resolve"))
        if kind == "resolve":
            return Resolve(to, chance.random() < 0.5, by=mark)
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
        hub = self.hub if self._chance.random() < 0.5 else None
        if hub is not None:
            by_api = self._by_api(hub.node, hub.store, asked, command)
            self.spawn("person", by_api, hub)
        else:
            self._scheduler.spawn("person", self._by_cli(asked, command), is_inside=False)

    async def _by_api(
        self, node: Node, store: SimulatedStore, asked: Asked, command: Command
    ) -> None:
        try:
            await store.post(asked.key, encode_message(command), self._clock.now())
        except StoreFull:
            return
        asked.posted = True
        node.loader.expect(self._clock.now())
        node.loader.ring()

    async def _by_cli(self, asked: Asked, command: Command) -> None:
        """Another program writes to the inbox; nobody here is told."""
        pause = self._scheduler.pause
        store = SimulatedStore(self._disk, lambda moment: pause())
        await store.post(asked.key, encode_message(command), self._clock.now())
        asked.posted = True

    # The calm part

    def calm_down(self) -> None:
        """From here on nobody gives up, and people look after what stopped."""
        self._is_calm = True
        self.buffers.calm_down()
        self._look_after()

    def _look_after(self) -> None:
        """Releases what is held, and mends stopped runs: retry, then skip, then cancel."""
        if self._disk.held:
            self._release()
            self.buffers.look_after()
        for key, row in list(self._disk.runs.items()):
            if row.status != "stopped" or row.owned:
                continue
            times = self._looked[key] = self._looked.get(key, 0) + 1
            mark = f"person-{len(self.record.commands)}"
            if times <= 2:
                self._order(key, Retry(by=mark))
            elif times <= 5:
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
