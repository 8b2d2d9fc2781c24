"""The one place that constructs things: a home becomes a running hub.

    home ──> catalog, connections, sources ──> store ──> processes ──> node ──> hub

`running_hub` holds it together: what it opens it closes, in the opposite order, and a clean stop
lets calls that are under way answer before it hands the runs over.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from beltline.api.hub import Hub
from beltline.blobs.folder import BlobFolder
from beltline.carriage import Carriage, carriage_of
from beltline.connections import Connections
from beltline.definition.finding import Finding
from beltline.definition.source import Source
from beltline.egress.client import OutgoingClient
from beltline.engine.buffers import Buffers
from beltline.engine.callbacks import Callbacks
from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Clock, LeaseLost, Store, StoreAway, StoreFull
from beltline.engine.processes import ProcessBook, Refusal
from beltline.engine.records import Format
from beltline.engine.verdicts import Verdicts
from beltline.home_files import DEFINITIONS, HomeFiles, read_home
from beltline.logs import Redaction, report
from beltline.loop import AsyncioBell, AsyncioMailbox, AsyncioReply, SystemClock
from beltline.settings import Home, Settings, SettingsError, hub_key, secret_reader
from beltline.sources.door import Door, Feed
from beltline.sources.feeding import Feeds
from beltline.sources.feeds import feed_of
from beltline.sources.surroundings import Surroundings as FeedSurroundings
from beltline.stores import StoreUnreachable, is_shared, open_store
from beltline.stores.postgres.sharing import DAY_MS, MINUTE_MS, Sharing
from beltline.transports.router import Router

_log = structlog.get_logger()
_T = TypeVar("_T")

ASK_AGAIN_S = 0.5
HAND_OVER_S = 3.0
WAIT_FOR_STORE_S = 60.0


def sharing_of(settings: Settings) -> Sharing:
    """How this node shares a PostgreSQL store."""
    nodes, retention = settings.nodes, settings.retention
    partition_ms = round(retention.partition_days * DAY_MS)
    return Sharing(
        name=nodes.name,
        lease_ms=round(nodes.lease_s * 1_000),
        keep_ms=round(retention.keep_days * DAY_MS),
        partition_ms=max(MINUTE_MS, partition_ms) if partition_ms else 0,
    )


def buffers_of(files: HomeFiles, store: Store, book: ProcessBook, clock: Clock) -> Buffers:
    """The buffers of a home's sources."""
    return Buffers(store, book, clock, files.sources)


class Running(msgspec.Struct):
    """A hub that runs. `ended` is done when it has ended by itself, with the reason."""

    hub: Hub
    node: Node
    store: Store
    processes: ProcessBook
    files: HomeFiles
    redaction: Redaction
    ended: asyncio.Future[None]
    stop_by: float | None = None  # by the loop's clock; set when a stop was asked for

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Lets the sources that fetch for themselves look, until the block ends."""
        hub, feeds = self.hub, self.hub.feeds
        feeds.start([hub.door(source) for source in self.files.sources.values()])
        try:
            yield
        finally:
            await feeds.stop()


@asynccontextmanager
async def running_hub(
    home: Home,
    *,
    url: str | None = None,
    durable: bool = True,
    redaction: Redaction | None = None,
    own_url: str = "",
) -> AsyncIterator[Running]:
    """Opens a home's hub, recovers what an unclean end left, and runs it until the block ends.
    `own_url` is where workers reach it, where the settings do not say.

    Raises `SettingsError`, and the errors of `stores.open_store`.
    """
    if url is None and not home.settings.store.url:
        home.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = read_home(home)
    key = hub_key(
        home,
        is_shared=is_shared(url or home.store_url),
        has_workers=bool(files.catalog.remotes()),
    )
    callbacks = Callbacks(key, home.settings.server.url or own_url)
    async with AsyncExitStack() as opened:
        store = await _open(home, url or home.store_url, durable=durable)
        opened.push_async_callback(store.close)
        http = OutgoingClient()
        opened.push_async_callback(http.close)
        running, carriage = _construct(
            home,
            files,
            store,
            redaction or Redaction(),
            http,
            callbacks,
            store_name="" if is_shared(url or home.store_url) else url or home.store_url,
        )
        opened.push_async_callback(carriage.transport.close)
        await _join(running.node)
        await _load(running.processes)
        hub = running.hub
        async with (
            _keeping(hub.verdicts, running.ended),
            _moving(running, carriage.transport, home.settings.stopping.grace_s),
            carriage.receiving(store, hub.catalog, hub.clock, hub.limits, hub.wake_runs),
        ):
            yield running


async def _open(home: Home, url: str, *, durable: bool) -> Store:
    """Opens the store. A database that does not answer is waited for a while: after an outage all
    of a company starts at once.
    """
    sharing = sharing_of(home.settings)
    until = asyncio.get_running_loop().time() + WAIT_FOR_STORE_S
    is_told = False
    while True:
        try:
            return await open_store(url, exclusive=True, durable=durable, sharing=sharing)
        except StoreUnreachable as away:
            if asyncio.get_running_loop().time() > until:
                raise
            if not is_told:
                _log.warning("waiting for the store", reason=str(away), seconds=WAIT_FOR_STORE_S)
                is_told = True
            await asyncio.sleep(ASK_AGAIN_S)


@asynccontextmanager
async def _keeping(verdicts: Verdicts, ended: asyncio.Future[None]) -> AsyncIterator[None]:
    """Keeps the verdicts of what is refused until the block ends, and then what is left. What the
    keeper fails of ends the hub, as it would anywhere else.
    """
    keeping = asyncio.create_task(verdicts.run(), name="verdicts")
    keeping.add_done_callback(lambda done: _tell_end(done, ended))
    try:
        yield
    finally:
        verdicts.stop()
        await asyncio.gather(keeping, return_exceptions=True)


@asynccontextmanager
async def _moving(running: Running, transport: Router, grace_s: float) -> AsyncIterator[None]:
    """Moves runs until the block ends, then stops cleanly, unless the node has ended by itself."""
    node, ended = running.node, running.ended
    # The coroutines are made before anything is awaited: who measures begins with them.
    living = asyncio.create_task(_live(node, _tasks(node)))
    living.add_done_callback(lambda done: _tell_end(done, ended))
    try:
        yield
    finally:
        if not ended.done():
            await _drain(running, transport, grace_s)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        if not ended.done():
            await _hand_over(running.store)
            ended.cancel()


def _tasks(node: Node) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(coroutine) for coroutine in node.coroutines()]


async def _live(node: Node, tasks: list[asyncio.Task[None]]) -> None:
    """Runs the node, membership after membership, until something else than that ends it."""
    while True:
        try:
            await asyncio.gather(*tasks)
        except LeaseLost as lost:
            _log.warning("this node begins anew", reason=str(lost))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        node.begin_anew()
        await _join(node)
        tasks = _tasks(node)


async def when_reachable(ask: Callable[[], Awaitable[_T]]) -> _T:
    """What a call of the store gives, however long the store is away or full. It may be asked more
    than once, and what it asks for may have happened before.
    """
    while True:
        try:
            return await ask()
        except (StoreAway, StoreFull) as trouble:
            _log.warning("the store cannot be used yet", reason=str(trouble))
            await asyncio.sleep(ASK_AGAIN_S)


async def _join(node: Node) -> None:
    """Becomes one of the store's nodes."""
    recovered = await when_reachable(node.join)
    if recovered:
        _log.warning("recovered runs that an unclean end left behind", runs=recovered)


async def _hand_over(store: Store) -> None:
    """Lets go of the runs; where the store cannot be asked, others take them over in time."""
    try:
        async with asyncio.timeout(HAND_OVER_S):
            await store.hand_over()
    except (StoreAway, LeaseLost, TimeoutError) as trouble:
        _log.warning("the runs could not be handed over", reason=str(trouble))


def _construct(
    home: Home,
    files: HomeFiles,
    store: Store,
    redaction: Redaction,
    http: OutgoingClient,
    callbacks: Callbacks,
    *,
    store_name: str,
) -> tuple[Running, Carriage]:
    limits = home.settings.effective_limits()
    clock = SystemClock()
    mailbox = AsyncioMailbox()
    connections = Connections(files.connections, redaction, home.path)
    blobs = BlobFolder(home.data / "blobs")
    carriage = carriage_of(
        files,
        connections,
        store,
        mailbox,
        clock,
        callbacks,
        blobs,
        limits,
        store_name=store_name,
    )
    processes = ProcessBook(
        store, files.catalog, files.connection_kinds(), clock, run_aside=asyncio.to_thread
    )
    node = Node(
        store=store,
        transport=carriage.transport,
        definitions=Definitions(processes, files.sources),
        mailbox=mailbox,
        clock=clock,
        entropy=os.urandom,
        new_bell=partial(AsyncioBell, clock),
        new_reply=AsyncioReply,
        report=report,
        limits=limits,
    )

    def wake_runs() -> None:
        hub.wake_runs()  # the hub is made below

    new_feed = _feeds_of(home, clock, connections, http, blobs, wake_runs)
    hub = Hub(
        node=node,
        store=store,
        processes=processes,
        sources=files.sources,
        connections=files.connections,
        catalog=files.catalog,
        clock=clock,
        limits=limits,
        secret=_lenient(secret_reader()),
        blobs=blobs,
        feeds=Feeds(new_feed, clock, partial(AsyncioBell, clock), redaction.clean),
        verdicts=Verdicts(store, clock, AsyncioBell(clock), report, limits),
        callbacks=callbacks,
        workers=carriage.workers,
        test_connection=lambda name: connections.test(name, http),
    )
    ended = asyncio.get_running_loop().create_future()
    return Running(hub, node, store, processes, files, redaction, ended), carriage


def _feeds_of(
    home: Home,
    clock: Clock,
    connections: Connections,
    http: OutgoingClient,
    blobs: BlobFolder,
    wake_runs: Callable[[], None],
) -> Callable[[Source, Door], Feed | None]:
    """What makes the feed of a source."""
    around = FeedSurroundings(
        home=home.path,
        clock=clock,
        new_bell=partial(AsyncioBell, clock),
        connection=connections.get,
        http=http,
        limits=home.settings.effective_limits(),
        wake_runs=wake_runs,
        blobs=blobs,
        node=home.settings.nodes.name or socket.gethostname(),
    )
    return lambda source, door: feed_of(source, door, around)


async def _load(processes: ProcessBook) -> None:
    for name, reason in (await when_reachable(processes.load)).items():
        _log.error("a process cannot be used", process=name, reason=reason)


def _lenient(read: Callable[[str], str]) -> Callable[[str], str | None]:
    """The API refuses the senders of a source whose secret is not set, and goes on."""

    def secret(name: str) -> str | None:
        try:
            return read(name)
        except SettingsError:
            return None

    return secret


def _tell_end(task: asyncio.Task[None], ended: asyncio.Future[None]) -> None:
    if task.cancelled() or ended.done():
        return
    error = task.exception()
    if error is not None:
        ended.set_exception(error)
    else:
        ended.set_result(None)


async def _drain(running: Running, transport: Router, grace_s: float) -> None:
    """Lets calls that are under way answer, and what was decided become durable."""
    running.node.drain()
    stop_by = running.stop_by or asyncio.get_running_loop().time() + grace_s
    try:
        async with asyncio.timeout_at(stop_by):
            await transport.idle()
            await running.node.flush()
    except TimeoutError:
        _log.warning("stopped while calls were under way", calls=transport.under_way())


async def publish_files(home: Home, processes: ProcessBook) -> list[Finding]:
    """Publishes the home's process files that differ from their newest version. Gives all
    findings; a file with errors changes nothing, and its last good version stays.
    """
    findings: list[Finding] = []
    for path in home.files("processes", *DEFINITIONS):
        findings.extend(await publish_file(path, processes))
    return findings


async def publish_file(path: Path, processes: ProcessBook) -> list[Finding]:
    """Publishes one process file, if it differs from its newest version."""
    kind: Format = "json" if path.suffix == ".json" else "yaml"
    try:
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        return [Finding(str(path), 1, 1, "error", f"cannot be read: {wrong}")]
    try:
        _, warnings = await processes.publish(path.stem, text, kind, str(path))
    except Refusal as refusal:
        return refusal.findings
    return warnings
