"""The queue transport of the conformance suite: one stand, over each broker that carries calls."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beltline.catalog.catalog import Binding, Catalog
from beltline.connections import Connections
from beltline.core.inputs import decode_message
from beltline.core.limits import Limits
from beltline.engine.callbacks import Callbacks
from beltline.engine.ports import Posted
from beltline.engine.workers import Workers
from beltline.logs import Redaction
from beltline.loop import AsyncioMailbox, SystemClock
from beltline.queues.address import broker_address
from beltline.queues.broker import PreparedReceiver, call_broker
from beltline.queues.results import Results
from beltline.sdk import Module
from beltline.transports.queue import Destination, QueueSurroundings, QueueTransport
from beltline.worker.calls import WorkerCalls
from beltline.worker.queue import QueueWorker
from tests.conformance.transport_kinds import NAMES, Gate, Stand, modules_of
from tests.servers.call_brokers import CARRIERS, BrokerServer
from tests.servers.wanted import wanted

Servers = Callable[[str], BrokerServer]


@contextmanager
def started(folders: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of brokers by their kind, each started when it is first asked for."""
    with ExitStack() as opened:
        running: dict[str, BrokerServer] = {}

        def server(kind: str) -> BrokerServer:
            if kind not in running:
                running[kind] = opened.enter_context(wanted(CARRIERS[kind](folders.mktemp(kind))))
            return running[kind]

        yield server


class Inbox:
    """The inbox of the runs: here what comes there is at the belt at once."""

    def __init__(self, mailbox: AsyncioMailbox) -> None:
        self._mailbox = mailbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        self._mailbox.post([Posted(key, decode_message(body))])
        return 1


@asynccontextmanager
async def queue_stand(limits: Limits, server: BrokerServer) -> AsyncIterator[Stand]:
    """The same handlers in a worker behind a broker."""
    stand = Stand("queue", AsyncioMailbox(), Gate(), SystemClock())
    stand.defers = True
    line = QueueLine(server, stand.mailbox, stand.clock, limits)
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(line.running())
        stand.transport = line.transport
        worker = line.worker(modules_of(stand.gate), (*NAMES, "gone"), limits.module_calls)
        await opened.enter_async_context(worker.running())
        opened.push_async_callback(stand.close)
        await worker.ready()
        yield stand


class QueueLine:
    """A broker between a hub's transport and workers, with places of its own."""

    def __init__(
        self, server: BrokerServer, mailbox: AsyncioMailbox, clock: SystemClock, limits: Limits
    ) -> None:
        self.address = broker_address(server.address(f"t{os.urandom(6).hex()}"))
        self.broker = call_broker(self.address, lambda: self.address.connection(""))
        self.callbacks = Callbacks(os.urandom(32), "http://hub.test")
        self.workers = Workers()
        self.inbox: Any = Inbox(mailbox)
        self.clock = clock
        self.limits = limits
        self.reports: list[str] = []
        names = (*NAMES, "gone")
        bindings = {name: Binding(transport=server.address("any")) for name in names}
        self.catalog = Catalog(modules_of(Gate())).bound(bindings)
        self.results = self.address.results(self.callbacks.hub)
        destination = Destination("broker", self.results, self.address.calls, self.broker.open)
        report: Callable[..., None] = lambda event, run, reason: self.reports.append(event)  # noqa: E731
        self.transport = QueueTransport(
            self.catalog,
            QueueSurroundings(
                lambda remote: destination, lambda name: None, self.callbacks, report
            ),
            mailbox,
            clock,
            limits,
        )

    def receiver(self) -> Results:
        """What brings answers to the inbox."""
        return Results(
            partial(PreparedReceiver, self.broker, self.results, self.limits.batch),
            "broker",
            self.callbacks,
            self.catalog.invocation,
            self.inbox,
            lambda: None,
            self.workers,
            self.clock,
            self.limits,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sends calls and brings answers until the block ends."""
        async with self.running_results():
            try:
                yield
            finally:
                await self.transport.close()

    @asynccontextmanager
    async def running_results(self) -> AsyncIterator[None]:
        """Brings answers until the block ends."""
        async with self.receiver().running():
            yield

    def worker(
        self, modules: list[Module[Any, Any]], names: Iterable[str], concurrency: int
    ) -> QueueWorker:
        """A worker that does the calls of these names."""
        calls = WorkerCalls(Catalog(modules), Connections({}, Redaction(), Path()), self.limits)
        return QueueWorker(
            calls,
            call_broker(self.address, lambda: self.address.connection("")),  # as in a process apart
            [self.address.calls(name) for name in names],
            self.clock,
            name="the suite 1",
            concurrency=concurrency,
        )
