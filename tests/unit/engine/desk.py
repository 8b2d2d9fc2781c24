"""A node on a desk: the engine over simulated ports, moved by hand, without chance or a loop.

Time stands still until a test lets it pass. Calls lie in `calls` until a test answers them.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any

from beltline.core.events import Error, Journal
from beltline.core.inputs import Answer, Answered, AttemptFailed, Command, encode_message
from beltline.core.limits import TINY, Limits
from beltline.core.model import Process
from beltline.core.run import Run, new_run, replay
from beltline.definition.source import Source
from beltline.engine.call_rules import CallRules, NoRules
from beltline.engine.ids import id_of
from beltline.engine.loader import VersionUnusable
from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Dispatched, Posted, StoreFull
from beltline.engine.records import NewRequest, ReleaseOrder, RunRecord, StoredRun
from tests.simulation import workload
from tests.simulation.disk import Disk
from tests.simulation.ports import (
    SimulatedBell,
    SimulatedClock,
    SimulatedMailbox,
    SimulatedReply,
)
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import Moment, SimulatedStore
from tests.simulation.workload import step

NO_RULES = NoRules()
LINE = {"process": "line", "steps": [step("a", next_=["b"]), step("b")]}


class Desk:
    """A node with all around it; `start` brings it up, `crash` takes it down. With a lease there
    can be more of them: each next one stands `beside` the first, with which it shares the store and
    the time.
    """

    def __init__(
        self,
        *definitions: dict[str, Any],
        limits: Limits = TINY,
        rules: CallRules = NO_RULES,
        lease_ms: int = 0,
        beside: Desk | None = None,
    ) -> None:
        self.scheduler: Scheduler = beside.scheduler if beside else Scheduler(Random(0), tick=0)
        self.clock = SimulatedClock(self.scheduler)
        self.disk: Disk = beside.disk if beside else Disk()
        self.lease_ms = lease_ms
        self.limits = limits
        self.is_full = False
        self.is_slow = False  # commits do not come to an end
        self.store_ms = 0  # up to which each call of the store takes, on its way and back
        self._chance = Random(7)
        self.reports: list[tuple[str, str, str]] = []
        self.calls: list[Dispatched] = []
        self.batches: list[list[Dispatched]] = []
        self.inline: list[Dispatched] = []
        self.rules: CallRules = rules
        self.unusable: set[int] = set()
        self.processes: dict[int, Process] = {}
        self.sources: dict[str, Source] = {}
        for number, each in enumerate(definitions or (LINE,), 1):
            name = each["process"]
            self.processes[number] = workload.compiled(json.dumps(each), name, number)
        self.start()

    # Its life

    def start(self) -> None:
        scheduler = self.scheduler
        refuse = lambda: StoreFull("no room") if self.is_full else None  # noqa: E731
        self.store = SimulatedStore(
            self.disk,
            self._pause,
            refuse=refuse,
            now=lambda: scheduler.now,
            lease_ms=self.lease_ms,
        )
        self.mailbox = SimulatedMailbox(scheduler)
        self.node = Node(
            store=self.store,
            transport=self,
            definitions=Definitions(self, self.sources, self.rules),
            mailbox=self.mailbox,
            clock=self.clock,
            entropy=Random(f"{len(self.disk.members)}").randbytes,
            new_bell=lambda: SimulatedBell(scheduler, self.clock),
            new_reply=lambda: SimulatedReply(scheduler),
            report=lambda *line: self.reports.append(line),
            limits=self.limits,
        )
        self.run(self.node.join())
        for coroutine in self.node.coroutines():
            scheduler.spawn("engine", coroutine, is_inside=True)
        self.settle()

    def crash(self) -> None:
        """The process is gone; calls that it made are nobody's."""
        self.scheduler.drop_inside()
        self.calls.clear()

    async def _pause(self, moment: Moment) -> None:
        await self.scheduler.pause()
        if self.store_ms:
            await self.scheduler.sleep(self._chance.randint(1, self.store_ms))
        while self.is_slow and moment == "before":
            await self.scheduler.sleep(1)

    # What the node needs

    async def by_id(self, version_id: int) -> Process:
        if version_id in self.unusable:
            raise VersionUnusable("its module is gone")
        return self.processes[version_id]

    def usable(self, names: Iterable[str]) -> dict[str, int]:
        by_name = {process.name: number for number, process in self.processes.items()}
        return {name: by_name[name] for name in names if name in by_name}

    def newest(self, name: str) -> tuple[int, Process]:
        number = self.usable([name])[name]
        return number, self.processes[number]

    def dispatch(self, calls: list[Dispatched]) -> None:
        self.calls.extend(calls)

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        self.batches.append(calls)
        self.calls.extend(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        self.inline.append(call)
        return Answered(call.call.step.id, call.call.visit, call.call.attempt, {"v": 1}, 7)

    # Moving it

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs something to its end, and the node as far as it comes."""
        results = self.begin(coroutine)
        self.settle()
        assert results, "it still waits"
        return results[0]

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> list[Any]:
        """Begins something; its result comes into the list."""
        results: list[Any] = []

        async def keep() -> None:
            results.append(await coroutine)

        self.scheduler.spawn("test", keep(), is_inside=True)
        return results

    def settle(self) -> None:
        """Lets everything run that can run now."""
        for _ in range(10_000):
            if self.scheduler.is_idle:
                return
            self.scheduler.step()
        raise AssertionError("it never comes to rest")

    def wait(self, delay_ms: int) -> None:
        """Lets time pass, and everything run that is due by then."""
        until = self.scheduler.now + delay_ms
        self.scheduler.at(until, lambda: None)
        while self.scheduler.now < until:
            self.scheduler.step()
        self.settle()

    def release(self) -> None:
        """Lets all go that the source of the desk's requests holds."""
        versions = {process.name: number for number, process in self.processes.items()}
        order = ReleaseOrder("form", versions, 10)
        self.run(self.store.release(order, self.clock.now()))

    def request(self, body: Any = None, *, number: int = 1, **more: Any) -> NewRequest:
        """A request for a process of the desk."""
        key, now = self.node.intake.new_key()
        encoded = json.dumps(body).encode()
        process = self.processes[number].name
        return NewRequest(key, "form", process, now, encoded, b"{}", body_hash=encoded, **more)

    def submit(self, body: Any = None, *, number: int = 1, **more: Any) -> Any:
        """A sender's request; gives the answer."""
        request = self.request(body, number=number, **more)
        process = None if request.held else self.processes[number]
        return self.run(self.node.intake.submit(request, number, process))

    def begin_submit_without_rest(self, body: Any) -> list[Any]:
        """A sender's request while commits hang; the answer comes into the list."""
        request = self.request(body)
        begun = self.begin(self.node.intake.submit(request, 1, self.processes[1]))
        for _ in range(100):
            self.scheduler.step()
        return begun

    def answer(self, step: str, result: Any = None) -> None:
        """The handler of the first call of a step answers."""
        call = self._take(step)
        asked = call.call
        answer = Answered(step, asked.visit, asked.attempt, result, len(json.dumps(result)))
        self.mailbox.post([Posted(call.key, answer)])
        self.settle()

    def fail(self, step: str, *, final: bool = False) -> None:
        """The handler of the first call of a step fails."""
        call = self._take(step)
        asked = call.call
        error = Error("exception", "no luck")
        failed = AttemptFailed(step, asked.visit, asked.attempt, error, final)
        self.mailbox.post([Posted(call.key, failed)])
        self.settle()

    def _take(self, step: str) -> Dispatched:
        call = next(call for call in self.calls if call.call.step.id == step)
        self.calls.remove(call)
        return call

    def command(self, key: bytes, command: Command) -> None:
        """A person's command from another program: nobody here is told."""
        self.run(self.store.post(key, encode_message(command), self.clock.now()))

    # What is there

    @property
    def called(self) -> list[str]:
        """The steps that are called, in order."""
        return [call.call.step.id for call in self.calls]

    def record(self, key: bytes) -> RunRecord:
        record: RunRecord = self.run(self.store.run(key))[0]
        return record

    def stored(self, key: bytes) -> StoredRun:
        stored: StoredRun | None = self.run(self.store.run(key))[1]
        assert stored is not None
        return stored

    def folded(self, key: bytes) -> Run:
        """A run as its journal tells it."""
        stored = self.stored(key)
        process = self.processes[stored.version_id]
        run = new_run(id_of(key), key, process, json.loads(stored.body), {}, len(stored.body))
        replay(run, [Journal.decode(entry) for entry in stored.entries])
        return run

    def events(self, key: bytes) -> list[str]:
        """The names of a run's events."""
        rows = self.stored(key).entries
        return [event[0] for row in rows for event in json.loads(row)[2]]
