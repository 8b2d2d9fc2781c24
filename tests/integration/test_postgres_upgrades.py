"""Two versions of the hub on one database: what is applied when, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from beltline.stores import NotAStore, StoreInUse, StoreTooNew, StoreUnavailable
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import connect
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.schema import Migration, migrations
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import accept, moving
from tests.servers.postgres import PostgresServer

OLD = migrations()
EXPAND = Migration(2, "expand", "CREATE TABLE beltline.next_thing (id bigint)")
CONTRACT = Migration(2, "contract", "DROP FUNCTION beltline.post_1(uuid, uuid, bytea, bigint)")
NEW = [*OLD, EXPAND, CONTRACT]


@pytest.fixture
def url(postgres_server: PostgresServer, tmp_path: Path) -> str:
    """An empty database."""
    return postgres_server.database(f"upgrade_{tmp_path.name}"[:60])


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """Closes what was opened."""
    async with AsyncExitStack() as stack:
        yield stack


async def start(
    opened: AsyncExitStack, url: str, known: list[Migration], *, name: str = "", joins: bool = True
) -> PostgresStore:
    store = await open_postgres(url, Sharing(name=name), durable=False, known=known)
    opened.push_async_callback(store.close)
    if joins:
        await store.join()
    return store


async def tend(store: PostgresStore) -> None:
    store._tend_at = 0.0
    await store.tend()


async def applied(url: str) -> list[tuple[int, str]]:
    db = await connect(read_address(url))
    try:
        rows: list[Any] = await db.fetch("SELECT number, phase FROM beltline.migration")
        return sorted((number, phase) for number, phase in rows)
    finally:
        await db.close()


async def test_both_versions_work_until_the_last_old_node_has_left(
    opened: AsyncExitStack, url: str
) -> None:
    old = await start(opened, url, OLD)
    new = await start(opened, url, NEW)
    assert await applied(url) == [(1, "expand"), (2, "expand")]
    await accept(old, moving(1))
    await accept(new, moving(2))
    await tend(new)
    assert (2, "contract") not in await applied(url)
    await old.hand_over()
    await tend(new)
    assert (2, "contract") in await applied(url)
    await accept(new, moving(3))


async def test_an_old_node_is_refused_once_the_database_has_left_it_behind(
    opened: AsyncExitStack, url: str
) -> None:
    old = await start(opened, url, OLD)
    new = await start(opened, url, NEW)
    await old.hand_over()
    await tend(new)
    with pytest.raises(StoreTooNew, match="no longer carries hubs that know version 1"):
        await old.join()
    with pytest.raises(StoreTooNew, match="brought to version 2"):
        await start(opened, url, OLD)


async def test_an_old_node_may_still_start_while_only_the_first_phase_is_applied(
    opened: AsyncExitStack, url: str
) -> None:
    await start(opened, url, OLD)
    await start(opened, url, NEW)
    again = await start(opened, url, OLD)
    await accept(again, moving(1))


async def test_a_change_that_cannot_hold_beside_old_nodes_is_refused_with_their_names(
    opened: AsyncExitStack, url: str
) -> None:
    alone = Migration(2, "expand", "-- alone\nALTER TABLE beltline.run ADD COLUMN extra text")
    old = await start(opened, url, OLD, name="till-1")
    with pytest.raises(StoreInUse, match=r"till-1 \(version .*\)\. Stop them first"):
        await start(opened, url, [*OLD, alone])
    assert await applied(url) == [(1, "expand")]
    await old.hand_over()
    await start(opened, url, [*OLD, alone])
    assert await applied(url) == [(1, "expand"), (2, "expand")]


async def test_nodes_that_start_at_once_apply_everything_once(
    opened: AsyncExitStack, url: str
) -> None:
    await asyncio.gather(*(start(opened, url, NEW) for _ in range(5)))
    found = await applied(url)
    assert found == sorted(set(found))
    assert (2, "expand") in found


async def test_a_migration_that_fails_leaves_nothing(opened: AsyncExitStack, url: str) -> None:
    broken = Migration(2, "expand", "CREATE TABLE beltline.half (id bigint); SELECT 1 / 0")
    await start(opened, url, OLD)
    with pytest.raises(StoreUnavailable, match="division by zero"):
        await start(opened, url, [*OLD, broken])
    assert await applied(url) == [(1, "expand")]
    db = await connect(read_address(url))
    assert await db.fetchval("SELECT to_regclass('beltline.half')") is None
    await db.close()


async def test_a_schema_of_somebody_else_is_left_alone(url: str) -> None:
    db = await connect(read_address(url))
    await db.execute("CREATE SCHEMA beltline; CREATE TABLE beltline.mine (id int)")
    await db.close()
    with pytest.raises(NotAStore, match="not the hub's"):
        await open_postgres(url, durable=False)


async def test_a_server_that_may_lose_what_it_confirmed_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="fsync switched off"):
        await open_postgres(url)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://me@127.0.0.1:1/hub?pooling=session", "pooling=transaction"),
        ("postgresql://me@127.0.0.1:1", "names no database"),
    ],
)
async def test_a_wrong_address_says_what_to_write(address: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await open_postgres(address)


async def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached") as told:
        await open_postgres("postgresql://me:sesame@127.0.0.1:1/hub")
    assert "sesame" not in str(told.value)
