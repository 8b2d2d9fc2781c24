"""The transports that the conformance suite runs over: one entry a carrier, all with one stand.

A `Stand` has a transport that reaches the handlers of `modules_of`, and says by `Stand.outage` how
its worker is taken away, if it has one. Those of brokers are in `queue_kinds.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from beltline.catalog.catalog import Binding, Catalog
from beltline.connections import Connections
from beltline.core.inputs import Deferred
from beltline.core.limits import Limits
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.egress.client import OutgoingClient
from beltline.engine.callbacks import Callbacks
from beltline.engine.ports import Dispatched, Posted
from beltline.engine.workers import Workers
from beltline.logs import Redaction
from beltline.loop import AsyncioMailbox, SystemClock
from beltline.sdk import Config, Context, Logger, Module, Output, Reject, Retry
from beltline.transports.event import EventTransport, Surroundings
from beltline.transports.http import HttpTransport, WorkerSurroundings
from beltline.transports.router import Stoppable
from beltline.worker.http import Worker
from tests.servers.asgi import served

RUN = "0198f2a0-0000-7000-8000-000000000001"


class WorkConfig(Config):
    """What the modules of the suite are given."""

    number: int = 0
    text: str = ""


class WorkOutput(Output):
    """What they give."""

    number: int
    text: str = ""


class Gate:
    """Lets tests see handlers at work, and hold them; handlers may live in another loop."""

    def __init__(self) -> None:
        self.entered = 0
        self.most = 0
        self._inside = 0
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._watchers: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.is_open = False

    async def pass_through(self) -> None:
        """A handler waits here until the gate is open."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        self.entered += 1
        self._inside += 1
        self.most = max(self.most, self._inside)
        self._waiting.append((loop, event))
        for count, other, watcher in self._watchers:
            if self.entered >= count:
                other.call_soon_threadsafe(watcher.set)
        try:
            if not self.is_open:
                await event.wait()
        finally:
            self._inside -= 1

    async def have_entered(self, count: int) -> None:
        """Returns when so many handlers have come."""
        event = asyncio.Event()
        self._watchers.append((count, asyncio.get_running_loop(), event))
        if self.entered < count:
            await event.wait()

    def open(self) -> None:
        """Lets all pass, from now on."""
        self.is_open = True
        for loop, event in self._waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


async def echo(config: WorkConfig, context: Context) -> WorkOutput:
    return WorkOutput(number=config.number, text=config.text)


async def tell(config: WorkConfig, context: Context) -> dict[str, Any]:
    return {
        "run": context.run,
        "step": context.step,
        "visit": context.visit,
        "attempt": context.attempt,
        "key": context.key,
        "deadline_ms": context.deadline_ms,
        "repeat": context.is_repeat,
    }


async def busy(config: WorkConfig, context: Context) -> Retry:
    return Retry("busy", after_s=1.5)


async def later(config: WorkConfig, context: Context) -> Retry:
    return Retry("not yet")


async def never(config: WorkConfig, context: Context) -> Reject:
    return Reject("unknown number")


async def raises(config: WorkConfig, context: Context) -> WorkOutput:
    raise ValueError("no luck")


def plain(config: WorkConfig, context: Context) -> WorkOutput:
    return WorkOutput(number=config.number + 1)


async def other(config: WorkConfig, context: Context) -> Any:
    return ["not", "declared"]


async def huge(config: WorkConfig, context: Context) -> WorkOutput:
    return WorkOutput(number=1, text="x" * config.number)


async def deep(config: WorkConfig, context: Context) -> dict[str, Any]:
    made: Any = None
    for _ in range(config.number):
        made = [made]
    return {"deep": made}


HANDLERS = (echo, tell, busy, later, never, raises, plain, other, huge, deep)


def modules_of(gate: Gate) -> list[Module[Any, Any]]:
    """The modules of the suite, each of the name of its handler; `waits` waits at the gate."""

    async def waits(config: WorkConfig, context: Context) -> WorkOutput:
        await gate.pass_through()
        return WorkOutput(number=config.number)

    made: list[Module[Any, Any]] = []
    for handler in (*HANDLERS, waits):
        output: Any = dict[str, Any] if handler in (tell, deep) else WorkOutput
        given: Any = handler
        made.append(
            Module(
                name=handler.__name__,
                version=1,
                summary="",
                category="site",
                icon="",
                effect="idempotent",
                config=WorkConfig,
                output=output,
                handler=given,
                examples=(),
            )
        )
    return made


NAMES = tuple(module.name for module in modules_of(Gate()))


class Outage(NamedTuple):
    """How a worker is taken away in the middle of its work, and brought back."""

    begin: Callable[[], Any]
    end: Callable[[], Any]


class Stand:
    """A transport on its own, with handlers behind it and a mailbox before it."""

    def __init__(self, kind: str, mailbox: AsyncioMailbox, gate: Gate, clock: SystemClock) -> None:
        self.kind = kind
        self.mailbox = mailbox
        self.gate = gate
        self.clock = clock
        self.transport: Stoppable
        self.outage: Outage | None = None
        self.defers = False  # a broker has the call, and its answer comes by the inbox
        self._is_closed = False

    async def close(self) -> None:
        """Ends the transport, once; handlers that wait are let go."""
        if not self._is_closed:
            self._is_closed = True
            await self.transport.close()
        self.gate.open()

    def call(
        self,
        module: str,
        input: Any = None,
        *,
        visit: int = 1,
        attempt: int = 1,
        timeout_ms: int = 30_000,
        is_repeat: bool = False,
    ) -> Dispatched:
        """A call as the belt makes it."""
        template, _ = compile_value({}, frozenset(), ())
        step = Step(
            module,
            module,
            f"{module}@1",
            "idempotent",
            template,
            timeout_ms=timeout_ms,
            transport=self.kind,
        )
        deadline = self.clock.now() + timeout_ms
        given = {} if input is None else input
        call = Call(step, visit, attempt, given, deadline, is_repeat)
        return Dispatched(visit.to_bytes(16), RUN, call)

    async def answers(self, *calls: Dispatched) -> list[Any]:
        """Dispatches, and waits for as many answers, in the order of their visits."""
        self.transport.dispatch(list(calls))
        return await self.take(len(calls))

    async def take(self, count: int) -> list[Any]:
        """Waits for so many answers, in the order of their visits."""
        answers: list[Any] = []
        while len(answers) < count:
            answers.extend(_answers(await self.mailbox.take(100)))
        return sorted(answers, key=lambda answer: (answer.visit, answer.attempt))

    def rest(self) -> list[Any]:
        """Answers that were posted and not taken."""
        return _answers(self.mailbox.clear())


def _answers(posted: list[Posted]) -> list[Any]:
    """What was posted, but for word that an answer comes later."""
    return [one.input for one in posted if not isinstance(one.input, Deferred)]


@asynccontextmanager
async def event_stand(limits: Limits) -> AsyncIterator[Stand]:
    """Handlers inside the process."""
    stand = Stand("event", AsyncioMailbox(), Gate(), SystemClock())
    stand.transport = EventTransport(
        Catalog(modules_of(stand.gate)).invocation, _surroundings(), stand.mailbox, limits
    )
    try:
        yield stand
    finally:
        await stand.close()


@asynccontextmanager
async def http_stand(limits: Limits) -> AsyncIterator[Stand]:
    """The same handlers in a worker, which is reached over a socket."""
    stand = Stand("http", AsyncioMailbox(), Gate(), SystemClock())
    async with AsyncExitStack() as opened:
        house = await opened.enter_async_context(_house(stand, limits))
        address = f"http://127.0.0.1:{house.port}/calls"
        bindings = {name: Binding(transport=address) for name in (*NAMES, "gone")}
        client = OutgoingClient(
            body_bytes=limits.module_event_bytes, answer_bytes=limits.module_answer_bytes
        )
        around = WorkerSurroundings(
            client, lambda name: None, str, Callbacks(b"key", "http://hub.test"), Workers()
        )
        stand.transport = HttpTransport(
            Catalog(modules_of(stand.gate)).bound(bindings),
            around,
            stand.mailbox,
            stand.clock,
            limits,
        )
        opened.push_async_callback(stand.close)
        stand.outage = Outage(house.close, house.open)
        yield stand


class _House:
    """Where the worker lives: it can be torn down at once, and opened again at the same port."""

    def __init__(self, stand: Stand, limits: Limits) -> None:
        self._stand = stand
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._opened = AsyncExitStack()
        self.port = 0

    async def open(self) -> None:
        worker = Worker(
            Catalog(modules_of(self._stand.gate)),
            Connections({}, Redaction(), Path()),
            self._stand.clock,
            self._limits,
            name="the suite",
            concurrency=1_000,
        )
        self._opened = AsyncExitStack()
        await self._opened.enter_async_context(worker.running())
        self._address = await self._opened.enter_async_context(served(worker, self.port))
        self.port = int(self._address.rpartition(":")[2])

    async def close(self) -> None:
        """As by a kill: connections break while calls are under way."""
        await self._opened.aclose()


@asynccontextmanager
async def _house(stand: Stand, limits: Limits) -> AsyncIterator[_House]:
    house = _House(stand, limits)
    await house.open()
    try:
        yield house
    finally:
        await house.close()


def _surroundings() -> Surroundings:
    unused: Any = None  # the modules of the suite ask for nothing outside
    log: Callable[[str, str], Logger] = lambda run, step: unused  # noqa: E731 - its type is told
    return Surroundings(OutgoingClient, unused, log, lambda name: None, unused, unused)


LOCAL: dict[str, Callable[[Limits], AbstractAsyncContextManager[Stand]]] = {
    "event": event_stand,
    "http": http_stand,
}
