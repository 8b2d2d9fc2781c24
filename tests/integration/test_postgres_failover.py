"""Servers that hang, that are gone without a word, or that wait for a standby."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from beltline.engine.ports import StoreAway
from beltline.engine.records import Batch, RunFilter
from beltline.stores.postgres import lane
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import Lane
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import accept, key, moving, ready
from tests.servers.postgres import LOOPBACK, PostgresServer, postgres
from tests.servers.wanted import wanted

# All leases have run out, and all but the first are so short that a restart explains nothing.
SILENT = """
UPDATE beltline.node SET lease_until = clock_timestamp() - interval '1 s',
    lease_ms = CASE WHEN id = (SELECT min(id) FROM beltline.node) THEN lease_ms ELSE 1 END
"""
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> $1"
END_THE_WAIT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
ME = "SELECT pg_backend_pid()"


@pytest.fixture
def database(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    name = f"failover_{tmp_path.name}"[:60]
    yield postgres_server.database(name)
    postgres_server.drop(name)


@pytest.fixture
def standing_by(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of its own whose commits may be made to wait for a standby."""
    with wanted(postgres(tmp_path, durable=False, settings={"synchronous_commit": "on"})) as opened:
        yield opened


async def node(url: str, lease_ms: int = 60_000) -> PostgresStore:
    store = await open_postgres(url, Sharing(lease_ms=lease_ms), durable=False)
    await store.join()
    return store


def wait_for(server: PostgresServer, standby: str) -> None:
    """From now on commits wait for a standby of this name; with "" for none."""
    server.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
    server.ask("SELECT pg_reload_conf()")


@pytest.mark.timeout(60)
async def test_a_commit_that_is_asked_for_again_waits_for_the_standby_too(
    standing_by: PostgresServer,
) -> None:
    store = await node(standing_by.database("standby"), lease_ms=2_500)
    wait_for(standing_by, "one_that_is_away")
    batch = Batch([moving(1)])
    with pytest.raises(StoreAway):
        await store.commit(batch)
    # Whoever ends the connection, or the server, ends the wait: the rows are there from then on,
    # and on no standby.
    assert standing_by.ask(END_THE_WAIT) == "t"
    for _ in range(2):
        with pytest.raises(StoreAway):
            await store.commit(batch)
    assert standing_by.ask("SELECT count(*) FROM beltline.run", "standby") == "1"
    wait_for(standing_by, "")
    async with asyncio.timeout(20):
        while True:
            try:
                assert await store.commit(batch) == [None]
                break
            except StoreAway:
                continue
    assert [record.key for record in await store.runs(RunFilter(), 10)] == [key(1)]
    await store.close()


async def test_a_host_that_is_gone_without_a_word_leaves_the_next_one_its_time(
    database: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "CONNECT_S", 0.3)
    with socket.create_server((LOOPBACK, 0)) as silent:
        own = f"{LOOPBACK}:{postgres_server.port}"
        both = database.replace(own, f"{LOOPBACK}:{silent.getsockname()[1]},{own}")
        store = await node(both)
        await accept(store, ready(1))
        await store.close()


async def test_a_server_ends_what_nobody_waits_for_any_more(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "SERVER_GIVES_UP_LATER_S", 0.3)
    slow = Lane(read_address(database), answer_s=0.3)
    with pytest.raises(StoreAway):
        await slow.rows("SELECT pg_sleep(600)")
    await slow.close()
    db = await asyncpg.connect(database)
    me = await db.fetchval(ME)
    async with asyncio.timeout(10):
        while await db.fetchval(AT_WORK, me):
            pass
    await db.close()


async def test_who_was_silent_itself_gives_the_others_the_time_until_its_next_beat(
    database: str,
) -> None:
    first, slow, dead = [await node(database) for _ in range(3)]
    await accept(dead, moving(1))
    db = await asyncpg.connect(database)
    await db.execute(SILENT)
    await db.close()
    assert (await first.beat()).recovered == 0
    assert (await slow.beat()).recovered == 0  # it is still a member
    assert (await first.beat()).recovered == 1  # of the one that did not come back
    for store in (first, slow, dead):
        await store.close()
