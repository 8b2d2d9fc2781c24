"""The one place that constructs things: a home becomes a running hub.

    home ──> catalog, connections, sources ──> store ──> processes ──> node ──> hub

`running_hub` holds it together: what it opens it closes, in the opposite order, and a clean stop
lets calls that are under way answer before it hands the runs over.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import msgspec
import structlog

from beltline.api.hub import Hub
from beltline.blobs.folder import BlobFolder
from beltline.carriage import Carriage, carriage_of
from beltline.catalog.limiting import HubRules
from beltline.connections import Connections
from beltline.core.limits import Limits
from beltline.definition.source import Source
from beltline.egress.client import OutgoingClient
from beltline.engine.backlogs import Backlogs
from beltline.engine.buffers import Buffers
from beltline.engine.callbacks import Callbacks
from beltline.engine.fresh import Fresh
from beltline.engine.held_counts import HeldCounts
from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Clock, LeaseLost, Store, StoreAway
from beltline.engine.processes import ProcessBook
from beltline.engine.vault import Vault
from beltline.engine.verdicts import Verdicts
from beltline.home_files import HomeFiles, read_home
from beltline.logs import Redaction, report
from beltline.loop import AsyncioBell, AsyncioMailbox, AsyncioReply, SystemClock
from beltline.reaching import open_waiting, when_reachable
from beltline.settings import Home, SettingsError, hub_key
from beltline.sources.door import Door, Feed
from beltline.sources.feeding import Feeds
from beltline.sources.feeds import feed_of
from beltline.sources.notes import Notes
from beltline.sources.reception import Reception
from beltline.sources.surroundings import Surroundings as FeedSurroundings
from beltline.stores import is_shared
from beltline.transports.router import Router

_log = structlog.get_logger()

HAND_OVER_S = 3.0
SECRETS_S = 2.0  # after that at the latest a secret that was set elsewhere is known
ONE_KEY = "put one long random text into the environment of each as BELTLINE_KEY"


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
    is_one_of_many = is_shared(url or home.store_url)
    if not is_one_of_many and (durable or url is None):
        home.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # for its key, too
    files = read_home(home)
    key = hub_key(home, is_shared=is_one_of_many)
    if key is None and is_one_of_many and files.catalog.remotes():
        raise SettingsError(
            f"workers answer any of the nodes that share this store, so these sign with one key:"
            f" {ONE_KEY}"
        )
    base, store_name = home.settings.server.url or own_url, url or home.store_url
    callbacks = Callbacks(key or os.urandom(32), base, "" if is_one_of_many else store_name)
    async with AsyncExitStack() as opened:
        store = await open_waiting(home, url or home.store_url, durable=durable)
        opened.push_async_callback(store.close)
        http = OutgoingClient()
        opened.push_async_callback(http.close)
        clock = SystemClock()
        vault = Vault(store, clock, key)
        await when_reachable(vault.load)
        if key is None and vault.names():
            raise SettingsError(f"this store keeps secrets, and this node has no key: {ONE_KEY}")
        running, carriage = _construct(
            home, files, store, redaction or Redaction(), http, callbacks, vault, clock, key
        )
        opened.push_async_callback(carriage.transport.close)
        await _join(running.node)
        await _load(running.processes)
        hub = running.hub
        async with (
            _beside(hub, running.ended),
            _moving(running, carriage.transport, home.settings.stopping.grace_s),
            carriage.receiving(store, hub.catalog, hub.clock, hub.limits, hub.wake_runs),
        ):
            yield running


@asynccontextmanager
async def _beside(hub: Hub, ended: asyncio.Future[None]) -> AsyncIterator[None]:
    """Does what nobody waits for until the block ends: keeps the verdicts of what is refused, in
    the end what is left of them, counts what waits, and looks for secrets that were set elsewhere.
    What fails there ends the hub, as it would anywhere else.
    """
    keeping = asyncio.create_task(hub.verdicts.run(), name="verdicts")
    counting = asyncio.create_task(hub.held_counts.run(), name="held counts")
    looking = asyncio.create_task(_look_for_secrets(hub.vault), name="secrets")
    for task in (keeping, counting, looking):
        task.add_done_callback(lambda done: _tell_end(done, ended))
    try:
        yield
    finally:
        hub.verdicts.stop()
        counting.cancel()
        looking.cancel()
        await asyncio.gather(keeping, counting, looking, return_exceptions=True)


async def _look_for_secrets(vault: Vault) -> None:
    while True:
        await asyncio.sleep(SECRETS_S)
        with suppress(StoreAway):  # what is known stays known
            await vault.load()


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
    vault: Vault,
    clock: SystemClock,
    link_key: bytes | None,
) -> tuple[Running, Carriage]:
    limits = home.settings.effective_limits()
    mailbox = AsyncioMailbox()
    connections = Connections(files.connections, redaction, home.path, vault)
    blobs = BlobFolder(home.data / "blobs")
    carriage = carriage_of(files, connections, store, mailbox, clock, callbacks, blobs, limits)
    processes = ProcessBook(
        store, files.catalog, files.connection_kinds(), clock, run_aside=asyncio.to_thread
    )
    rules = HubRules(files.catalog, files.connections, home.settings.modules)
    definitions = Definitions(processes, files.sources, rules)
    node = _node_of(store, carriage.transport, definitions, mailbox, clock, limits)

    verdicts = Verdicts(store, clock, AsyncioBell(clock), report, limits)
    source_states = Fresh(store.source_state, clock)
    reception = Reception(
        store, node.intake, processes.newest, source_states, Backlogs(store, clock)
    )
    new_feed = _feeds_of(home, clock, connections, http, blobs, node.wake_runs)
    hub = Hub(
        node=node,
        store=store,
        processes=processes,
        sources=files.sources,
        connections=files.connections,
        catalog=files.catalog,
        clock=clock,
        limits=limits,
        secret=_lenient(connections.secret),
        vault=vault,
        blobs=blobs,
        feeds=Feeds(new_feed, clock, partial(AsyncioBell, clock), redaction.clean),
        verdicts=verdicts,
        callbacks=callbacks,
        workers=carriage.workers,
        source_states=source_states,
        reception=reception,
        held_counts=HeldCounts(store, clock, AsyncioBell(clock)),
        notes=Notes(verdicts, limits),
        test_connection=lambda name: connections.test(name, http),
        link_key=link_key,
    )
    ended = asyncio.get_running_loop().create_future()
    return Running(hub, node, store, processes, files, redaction, ended), carriage


def _node_of(
    store: Store,
    transport: Router,
    definitions: Definitions,
    mailbox: AsyncioMailbox,
    clock: SystemClock,
    limits: Limits,
) -> Node:
    return Node(
        store=store,
        transport=transport,
        definitions=definitions,
        mailbox=mailbox,
        clock=clock,
        entropy=os.urandom,
        new_bell=partial(AsyncioBell, clock),
        new_reply=AsyncioReply,
        report=report,
        limits=limits,
    )


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
        secret=connections.secret,
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
