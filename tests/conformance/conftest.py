"""The store under test, once for each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from beltline.engine.ports import Store
from tests.conformance.store_kinds import KINDS, NODE_KINDS, SERVERS, OpenNode
from tests.servers.newest_postgres import newest_postgres
from tests.servers.postgres import PostgresServer
from tests.servers.wanted import wanted

NODES = 4
LEASE_MS = 600_000  # longer than any test

Reopen = Callable[[Store], Awaitable[Store]]
Nodes = list[Store]


@pytest.fixture(scope="session")
def newest_postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of the newest PostgreSQL, like `postgres_server`. Where its programs are not
    installed the test is skipped with the reason.
    """
    with wanted(newest_postgres(tmp_path_factory.mktemp("newest"))) as opened:
        yield opened


def with_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind that is asked for, whose server runs if it has one."""
    name: str = request.param
    if name not in SERVERS:
        yield name
        return
    fixture, databases = SERVERS[name]
    databases.server = request.getfixturevalue(fixture)
    yield name
    databases.clear()


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an implementation."""
    yield from with_server(request)


@pytest.fixture
async def store(kind: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A new, empty store that may move runs."""
    opened = await KINDS[kind](tmp_path)
    await opened.join()
    yield opened
    await opened.close()


@pytest.fixture
async def reopen(kind: str, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Closes the store and opens it again; it has not joined then."""
    opened: list[Store] = []

    async def close_and_open(store: Store) -> Store:
        await store.close()
        opened.append(await KINDS[kind](tmp_path))
        return opened[-1]

    yield close_and_open
    for store in opened:
        await store.close()


@pytest.fixture(params=sorted(NODE_KINDS))
def node_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an implementation that several nodes may share."""
    yield from with_server(request)


@pytest.fixture
async def open_node(node_kind: str, tmp_path: Path) -> AsyncIterator[OpenNode]:
    """Opens another node on one store, which joins."""
    opened: list[Store] = []
    open_one = NODE_KINDS[node_kind](tmp_path)

    async def open_and_join(lease_ms: int) -> Store:
        opened.append(await open_one(lease_ms))
        await opened[-1].join()
        return opened[-1]

    yield open_and_join
    for store in opened:
        await store.close()


@pytest.fixture
async def nodes(open_node: OpenNode) -> Nodes:
    """Four nodes that live."""
    return [await open_node(LEASE_MS) for _ in range(NODES)]
