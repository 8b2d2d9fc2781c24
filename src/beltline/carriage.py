"""How this hub carries calls: its transports put together, with what they need around them.

    Router ──> event: handlers in this process
           ├─> http:  workers, at the addresses that `beltline.toml` binds names to
           └─> queue: workers behind brokers

Answers by brokers come another way than the calls: `queues/results.py` takes them meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from beltline.catalog.catalog import Catalog, Remote
from beltline.connections import Connections
from beltline.core.limits import Limits
from beltline.egress.client import OutgoingClient
from beltline.egress.target import Refused, parse_target
from beltline.engine.attachments import BlobStore
from beltline.engine.callbacks import Callbacks
from beltline.engine.files import StoredFiles
from beltline.engine.memory import StoredMemory
from beltline.engine.ports import Clock, Mailbox, Store
from beltline.engine.workers import Workers
from beltline.home_files import HomeFiles
from beltline.logs import report, run_logger
from beltline.queues.address import AddressError, BrokerAddress, broker_address
from beltline.queues.broker import CallBroker, PreparedReceiver, call_broker
from beltline.queues.results import Results
from beltline.sdk import ClientFailed, Connection
from beltline.settings import SettingsError
from beltline.transports.event import EventTransport, Surroundings
from beltline.transports.http import HttpTransport, WorkerSurroundings
from beltline.transports.queue import Destination, QueueSurroundings, QueueTransport
from beltline.transports.router import Router


class HubBroker(msgspec.Struct):
    """A broker that names are bound to, and where answers for this hub are sent there."""

    address: BrokerAddress
    broker: CallBroker
    results: str

    def destination(self) -> Destination:
        """The same as the transport needs it."""
        return Destination(self.address.shown, self.results, self.address.calls, self.broker.open)


class Carriage(msgspec.Struct):
    """The transports as one, the addresses for later answers, what was heard of workers, and the
    brokers by the address and the secret's name of their bindings.
    """

    transport: Router
    callbacks: Callbacks
    workers: Workers
    brokers: dict[tuple[str, str], HubBroker]

    @asynccontextmanager
    async def receiving(
        self,
        store: Store,
        catalog: Catalog,
        clock: Clock,
        limits: Limits,
        wake_runs: Callable[[], None],
    ) -> AsyncIterator[None]:
        """Brings the answers that come by brokers to the inbox, until the block ends."""
        async with AsyncExitStack() as opened:
            for one in self.brokers.values():
                results = Results(
                    partial(PreparedReceiver, one.broker, one.results, limits.batch),
                    one.address.shown,
                    self.callbacks,
                    catalog.invocation,
                    store,
                    wake_runs,
                    self.workers,
                    clock,
                    limits,
                )
                await opened.enter_async_context(results.running())
            yield


def carriage_of(
    files: HomeFiles,
    connections: Connections,
    store: Store,
    mailbox: Mailbox,
    clock: Clock,
    callbacks: Callbacks,
    blobs: BlobStore,
    limits: Limits,
) -> Carriage:
    """The transports of a home. Raises `SettingsError` where the address of a worker or a broker is
    none.
    """
    brokers = _brokers_of(files.catalog, connections, callbacks.hub)
    workers = Workers()
    event = EventTransport(
        files.catalog.invocation,
        Surroundings(
            OutgoingClient,
            StoredMemory(store, clock),
            run_logger,
            connections.get,
            StoredFiles(blobs, limits),
            connections.clean,
        ),
        mailbox,
        limits,
    )
    http = HttpTransport(
        files.catalog,
        WorkerSurroundings(
            OutgoingClient(
                body_bytes=limits.module_event_bytes,
                answer_bytes=limits.module_answer_bytes,
                connections=0,  # each line bounds its own: a slow worker must not hold up others
            ),
            connections.told,
            connections.secret,
            callbacks,
            workers,
        ),
        mailbox,
        clock,
        limits,
    )
    queue = QueueTransport(
        files.catalog,
        QueueSurroundings(
            lambda remote: brokers[remote.address, remote.secret].destination(),
            connections.told,
            callbacks,
            report,
        ),
        mailbox,
        clock,
        limits,
    )
    transport = Router({"event": event, "http": http, "queue": queue})
    return Carriage(transport, callbacks, workers, brokers)


def _brokers_of(
    catalog: Catalog, connections: Connections, hub: str
) -> dict[tuple[str, str], HubBroker]:
    """The brokers that names are bound to; the addresses of workers are looked at too."""
    brokers: dict[tuple[str, str], HubBroker] = {}
    for remote in catalog.remotes():
        place = (remote.address, remote.secret)
        if remote.transport == "queue":
            brokers[place] = brokers.get(place) or _hub_broker(remote, connections, hub)
            continue
        try:
            parse_target(remote.address)
        except Refused as refused:
            raise SettingsError(f"[modules.{remote.name}] transport: {refused}") from refused
    return brokers


def _hub_broker(remote: Remote, connections: Connections, hub: str) -> HubBroker:
    where = f"[modules.{remote.name}] transport"
    try:
        address = broker_address(remote.address)
    except AddressError as wrong:
        raise SettingsError(f"{where}: {wrong}") from wrong

    def account() -> Connection:
        return address.connection(connections.secret(remote.secret) if remote.secret else "")

    try:
        broker = call_broker(address, account)
    except ClientFailed as missing:
        raise SettingsError(f"{where}: {missing}") from missing
    return HubBroker(address, broker, address.results(hub))
