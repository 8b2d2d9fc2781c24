"""Commits whose answer is lost, and nodes that wake up late: each decision is recorded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from beltline.engine.ports import LeaseLost, Store, StoreAway
from beltline.engine.records import Batch, JournalRow, Repeat, RunChange
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import (
    accept,
    claimed,
    key,
    moving,
    new_request,
    numbers,
    ready,
    started,
)
from tests.servers.postgres import LOOPBACK, PostgresServer
from tests.servers.proxy import Cut, Proxy, proxy

ANY_SIZE = 10**12
MARK = b"this row is looked for on the wire"


@pytest.fixture
def database(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    name = f"doubt_{tmp_path.name}"[:60]
    yield postgres_server.database(name)
    postgres_server.drop(name)


@pytest.fixture
def link(postgres_server: PostgresServer) -> Iterator[Proxy]:
    """The way of one node to the server."""
    with proxy((LOOPBACK, postgres_server.port)) as opened:
        yield opened


async def opened(url: str, lease_ms: int = 60_000) -> PostgresStore:
    store = await open_postgres(url, Sharing(lease_ms=lease_ms), durable=False)
    await store.join()
    return store


@pytest.fixture
async def near(database: str) -> AsyncIterator[Store]:
    """A node whose link is whole."""
    store = await opened(database)
    yield store
    await store.close()


@pytest.fixture
async def far(database: str, link: Proxy, postgres_server: PostgresServer) -> AsyncIterator[Store]:
    """A node behind the link."""
    own = database.replace(f":{postgres_server.port}/", f":{link.port}/")
    store = await opened(own, lease_ms=2_500)
    yield store
    link.heal()
    await store.close()


async def everything(database: str) -> dict[str, list[tuple[object, ...]]]:
    """All that a decision can change."""
    db = await asyncpg.connect(database)
    try:
        return {
            table: sorted(map(tuple, await db.fetch(f"SELECT * FROM beltline.{table}")), key=str)
            for table in ("request", "journal", "run", "finished", "held", "identity", "inbox")
        }
    finally:
        await db.close()


def work(first: int) -> Batch:
    """Decisions of every kind: two new requests, one of them under an identity that is taken, a
    journal row, a run that ends and one that waits.
    """
    fresh, again = new_request(first), new_request(first + 1, identity="a", identity_until=9_000)
    return Batch(
        acceptances=[started(fresh), started(again)],
        journal=[JournalRow(key(1), 1, MARK), JournalRow(key(2), 1, MARK)],
        changes=[
            RunChange(key(1), "completed", None, owned=False),
            RunChange(key(2), "waiting", 77, owned=False),
        ],
    )


async def prepare(store: Store) -> None:
    first = new_request(3, identity="a", identity_until=9_000)
    await accept(store, moving(1), moving(2), started(first))


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_in_doubt_happens_once(
    far: Store, link: Proxy, database: str, arrives: bool
) -> None:
    await prepare(far)
    (link.break_after if arrives else link.break_before)(MARK)
    batch = work(10)
    with pytest.raises(StoreAway):
        await far.commit(batch)
    happened = len((await everything(database))["request"]) == 4
    assert happened == arrives
    answers = await far.commit(batch)
    assert answers == [None, Repeat(key(3), same_body=True)]
    found = await everything(database)
    assert len(found["request"]) == 4
    assert len(found["journal"]) == 6
    assert [row[2] for row in found["finished"]] == ["completed"]
    # The next one is another one.
    await accept(far, moving(20))
    assert len((await everything(database))["request"]) == 5


async def test_five_hundred_commits_in_doubt_leave_exactly_one_record_each(
    far: Store, link: Proxy, database: str
) -> None:
    commits, lost = 500, 0
    link.break_after(MARK, commits // 4, skip=3)
    link.break_before(MARK, commits // 4, skip=5)
    await accept(far, moving(0))
    for seq in range(1, commits + 1):
        batch = Batch([moving(seq)], [JournalRow(key(0), seq, MARK + b"%d" % seq)], [], [])
        while True:
            try:
                assert await far.commit(batch) == [None]
                break
            except StoreAway:
                lost += 1
    assert lost >= commits // 4
    found = await everything(database)
    assert len(found["request"]) == len(found["run"]) == commits + 1
    _, run = await far.run(key(0))
    assert run is not None
    assert run.entries == [b"entry 0", *(MARK + b"%d" % seq for seq in range(1, commits + 1))]


async def test_what_a_claim_in_doubt_took_comes_with_the_next(far: Store, link: Proxy) -> None:
    await accept(far, *(ready(number, number) for number in range(5)))
    link.break_after(ANY_SIZE.to_bytes(8))
    with pytest.raises(StoreAway):
        await far.claim(100, 3, crashes=0, max_bytes=ANY_SIZE)
    assert (await far.counts())["owned"] == 3
    assert await claimed(far, 100, 9) == [0, 1, 2]
    assert await claimed(far, 100, 9) == [3, 4]


async def test_a_message_in_doubt_is_one_message(far: Store, link: Proxy) -> None:
    await accept(far, moving(1))
    link.break_after(MARK)
    id = await far.post(key(1), MARK, 5)
    assert [message.id for message in await far.messages_after(0, 9)] == [id]


# A node that was silent


async def take_over(near: Store) -> int:
    """Beats until the silent node's runs are let go of: its lease is 2.5 s."""
    async with asyncio.timeout(15):
        while True:
            recovered = (await near.beat()).recovered
            if recovered:
                return recovered
            await asyncio.sleep(0.05)


async def test_a_node_that_wakes_up_late_changes_nothing(
    far: Store, near: Store, database: str
) -> None:
    await prepare(far)
    await accept(far, ready(4))
    assert await take_over(near) == 3
    before = await everything(database)
    with pytest.raises(LeaseLost):
        await far.commit(work(10))
    with pytest.raises(LeaseLost):
        await far.claim(100, 9, crashes=0, max_bytes=ANY_SIZE)
    with pytest.raises(LeaseLost):
        await far.claim_one(key(1))
    with pytest.raises(LeaseLost):
        await far.beat()
    assert await everything(database) == before
    taken = (await near.claim(100, 9, crashes=1, max_bytes=ANY_SIZE)).runs
    assert sorted(numbers(run.key for run in taken)) == [1, 2, 3]
    assert await far.join() == 0
    await accept(far, moving(30))


async def test_a_commit_that_waits_at_the_server_while_others_take_over_changes_nothing(
    far: Store, near: Store, database: str
) -> None:
    await prepare(far)
    db = await asyncpg.connect(database)
    try:
        hold = db.transaction()
        await hold.start()
        # As the takeover does: the node's row first.
        await db.execute("SELECT FROM beltline.node WHERE lease_ms = 2500 FOR UPDATE")
        late = asyncio.create_task(far.commit(work(10)))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(5):
            while not await db.fetchval(waiting):
                await asyncio.sleep(0)
                await db.execute("SELECT pg_stat_clear_snapshot()")
        await db.execute("UPDATE beltline.node SET ended_at = now() WHERE lease_ms = 2500")
        await hold.commit()
        with pytest.raises((LeaseLost, StoreAway)):
            await late
        with pytest.raises(LeaseLost):
            await far.commit(work(10))
        assert len((await everything(database))["request"]) == 3
    finally:
        await db.close()


async def test_a_link_cut_one_way_is_noticed_and_healed(far: Store, link: Proxy) -> None:
    await prepare(far)
    ways: tuple[Cut, ...] = ("to_server", "to_client", "both")
    for number, way in enumerate(ways, 100):
        link.cut(way)
        batch = Batch(acceptances=[moving(number)])
        with pytest.raises(StoreAway):
            await far.commit(batch)
        link.heal()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await far.commit(batch) == [None]
                    break
                except StoreAway:
                    await asyncio.sleep(0.01)


async def test_a_connection_closed_in_the_middle_of_a_call_is_the_store_away(far: Store) -> None:
    assert isinstance(far, PostgresStore)

    async def trip(db: Any) -> None:
        db.terminate()  # as the guard does, when an answer is late
        raise AttributeError("'NoneType' object has no attribute 'bind_execute'")

    with pytest.raises(StoreAway):
        await far._commits.work(trip)
    await accept(far, moving(1))  # by a new connection

    async def mistake(db: Any) -> None:
        raise AttributeError("a mistake of the programmer")

    with pytest.raises(AttributeError, match="a mistake"):
        await far._commits.work(mistake)
