"""The store under test, once for each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from beltline.engine.ports import Store
from tests.conformance.store_kinds import DATABASES, KINDS, POSTGRES

Reopen = Callable[[Store], Awaitable[Store]]


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of an implementation."""
    name: str = request.param
    if name == POSTGRES:
        DATABASES.server = request.getfixturevalue("postgres_server")
    return name


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
