"""A whole hub in this process for tests: real store, real node, real transport, modules of its own.

`Stage.until` waits for a moment of the store, not for a moment of the clock: it looks again after
each commit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp

from beltline.api.app import create_app
from beltline.api.hub import Hub
from beltline.api.tokens import ROLES, new_token
from beltline.blobs.folder import BlobFolder
from beltline.catalog.catalog import Catalog
from beltline.catalog.connection_tests import Examination
from beltline.connections import Connections
from beltline.core.limits import PRODUCTION, Limits
from beltline.definition.connection import ConnectionFile, read_connection
from beltline.definition.source import Source, read_source
from beltline.egress.client import OutgoingClient
from beltline.engine.backlogs import Backlogs
from beltline.engine.callbacks import Callbacks
from beltline.engine.fresh import Fresh
from beltline.engine.held_counts import HeldCounts
from beltline.engine.ids import key_of
from beltline.engine.memory import StoredMemory
from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Store
from beltline.engine.processes import ProcessBook
from beltline.engine.vault import Vault
from beltline.engine.verdicts import Verdicts
from beltline.engine.workers import Workers
from beltline.logs import Redaction
from beltline.loop import AsyncioBell, AsyncioMailbox, AsyncioReply
from beltline.sdk import Context, Module, Reject
from beltline.sources.feeding import Feeds
from beltline.sources.notes import Notes
from beltline.sources.reception import Reception
from beltline.stores import open_store
from beltline.transports.event import EventTransport, Surroundings
from tests.unit.api.calling import Answered, call

NOW = 1_764_000_000_000  # 24 November 2025, in Unix ms

LEAD = """
process: lead
title: A lead
steps:
  - {id: greet, module: echo, with: {name: "{{ request.name }}"}, next: [judge]}
  - {id: judge, module: judge, with: {verdict: "{{ request.verdict }}"}, next: [tell]}
  - {id: tell, module: echo, with: {score: "{{ judge.score }}"}}
"""
FORM = "source: form\nkind: webhook\nprocess: lead\nverify: none\n"


class ManualClock:
    """The time of day as the test sets it."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        """Unix milliseconds."""
        return self.time

    def follow(self, shared: int) -> None:
        """It goes by nobody but the test."""


async def echo(config: dict[str, Any], context: Context) -> dict[str, Any]:
    """Gives its parameters back."""
    return config


async def judge(config: dict[str, Any], context: Context) -> dict[str, Any] | Reject:
    """Rejects what it is told to reject, so that there is a dead letter."""
    if config.get("verdict") == "bad":
        return Reject("the verdict is bad")
    return {"score": 7}


def module(name: str, handler: Any) -> Module[Any, Any]:
    """A module of the tests."""
    return Module(
        name=name,
        version=1,
        summary="A module of the tests.",
        category="data",
        icon="box",
        effect="idempotent",
        config=dict,
        output=dict,
        handler=handler,
        examples=(),
    )


class WatchedStore:
    """The real store, which tells when something was written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.written = asyncio.Condition()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def watched(*args: Any, **named: Any) -> Any:
            given = await method(*args, **named)
            async with self.written:
                self.written.notify_all()
            return given

        return watched if name in ("commit", "post", "release", "claim") else method


class Stage(msgspec.Struct):
    """The hub on stage, and how tests talk to it."""

    hub: Hub
    app: ASGIApp
    store: WatchedStore
    clock: ManualClock
    tokens: dict[str, str]
    secrets: dict[str, str]
    connections: dict[str, ConnectionFile]
    sources: dict[str, Source]

    async def send(
        self,
        source: str,
        body: Any,
        *headers: tuple[str, str],
        content_type: str | None = "application/json",
        method: str = "POST",
    ) -> Answered:
        """Sends a request to a source; what is not bytes goes as JSON."""
        raw = body if isinstance(body, bytes | list) else msgspec.json.encode(body)
        typed = [("Content-Type", content_type)] if content_type is not None else []
        answer = await call(self.app, method, f"/in/{source}", raw, [*typed, *headers])
        assert answer is not None
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        role: str | None = "admin",
        content_type: str | None = "application/json",
        headers: list[tuple[str, str]] | None = None,
    ) -> Answered:
        """Calls the API with a token of the role; what is not bytes goes as JSON."""
        raw = body if isinstance(body, bytes | list) else msgspec.json.encode(body)
        all_headers = list(headers or ())
        if content_type is not None and raw:
            all_headers.append(("Content-Type", content_type))
        if role is not None:
            all_headers.append(("Authorization", f"Bearer {self.tokens[role]}"))
        answer = await call(self.app, method, path, raw, all_headers)
        assert answer is not None
        return answer

    async def run(self, id: str) -> dict[str, Any]:
        """A run as the API shows it."""
        answer = await self.ask("GET", f"/api/v1/runs/{id}")
        assert answer.status == 200, answer.body
        shown: dict[str, Any] = answer.json()
        return shown

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Waits until it holds, looking again after each write to the store."""
        async with self.store.written:
            while not await holds():
                await self.store.written.wait()

    async def at_rest(self, id: str, status: str) -> dict[str, Any]:
        """The run, once its row has that status."""
        key = key_of(id)

        async def rests() -> bool:
            record, _ = await self.store.run(key)
            return bool(record.status == status)

        await self.until(rests)
        return await self.run(id)

    def add_source(self, text: str) -> None:
        """Another source, from the text of its file."""
        checked = read_source(text, name=None, file="source.yaml", processes=None)
        assert checked.source is not None, checked.findings
        self.sources[checked.source.name] = checked.source

    def add_connection(self, text: str) -> None:
        """Another connection, from the text of its file."""
        checked = read_connection(text, name=None, file="connection.yaml")
        assert checked.connection is not None, checked.findings
        self.connections[checked.connection.name] = checked.connection


async def _new_token(store: Store, role: str) -> str:
    token, record = new_token(role, f"the {role}", NOW)
    await store.put_token(record)
    return token


def _around(store: Any, clock: ManualClock) -> Surroundings:
    unused: Any = None  # the modules of the tests ask for nothing outside
    return Surroundings(
        OutgoingClient, StoredMemory(store, clock), unused, lambda name: None, unused, unused
    )


def _transport(
    catalog: Catalog, store: Any, clock: ManualClock, limits: Limits
) -> tuple[EventTransport, AsyncioMailbox]:
    mailbox = AsyncioMailbox()
    return EventTransport(catalog.invocation, _around(store, clock), mailbox, limits), mailbox


async def _end(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _tested(connections: Mapping[str, ConnectionFile], name: str) -> Examination:
    async with OutgoingClient() as http:
        return await Connections(connections, Redaction(), Path()).test(name, http)


def _node(
    store: Any,
    transport: EventTransport,
    definitions: Definitions,
    mailbox: AsyncioMailbox,
    clock: ManualClock,
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
        report=lambda *told: None,
        limits=limits,
    )


@asynccontextmanager
async def running_stage(
    folder: Path,
    *,
    limits: Limits = PRODUCTION,
    modules: Mapping[str, Any] | None = None,
    runs: bool = True,
) -> AsyncIterator[Stage]:
    """A hub on a new store in `folder` with `lead`, `form`, and a token of each role. With `runs`
    False nothing moves, and nothing is accepted.
    """
    real = await open_store(f"sqlite:///{folder / 'hub.db'}", durable=False)
    store: Any = WatchedStore(real)
    clock = ManualClock()
    handlers = {"echo": echo, "judge": judge, **(modules or {})}
    catalog = Catalog([module(name, handler) for name, handler in handlers.items()])
    transport, mailbox = _transport(catalog, store, clock, limits)
    book = ProcessBook(store, catalog, {}, clock)
    sources: dict[str, Source] = {}
    node = _node(store, transport, Definitions(book, sources), mailbox, clock, limits)
    secrets: dict[str, str] = {}
    connections: dict[str, ConnectionFile] = {}
    verdicts = Verdicts(store, clock, AsyncioBell(clock), lambda *told: None, limits)
    source_states = Fresh(store.source_state, clock)
    hub = Hub(
        node=node,
        store=store,
        processes=book,
        sources=sources,
        connections=connections,
        catalog=catalog,
        clock=clock,
        limits=limits,
        secret=secrets.get,
        blobs=BlobFolder(folder / "blobs"),
        feeds=Feeds(lambda source, door: None, clock, partial(AsyncioBell, clock)),
        verdicts=verdicts,
        callbacks=Callbacks(b"the key of the tests", "http://hub.test"),
        workers=Workers(),
        source_states=source_states,
        reception=Reception(store, node.intake, book.newest, source_states, Backlogs(store, clock)),
        held_counts=HeldCounts(store, clock),
        notes=Notes(verdicts, limits),
        vault=Vault(store, clock, b"the key of the tests"),
        test_connection=partial(_tested, connections),
    )
    tokens = {role: await _new_token(real, role) for role in ROLES}
    await book.publish("lead", LEAD, "yaml", "lead.yaml")
    stage = Stage(hub, create_app(hub), store, clock, tokens, secrets, connections, sources)
    stage.add_source(FORM)
    tasks = [asyncio.ensure_future(one) for one in node.coroutines()] if runs else []
    try:
        yield stage
    finally:
        await _end(tasks)
        await transport.close()
        await real.close()
