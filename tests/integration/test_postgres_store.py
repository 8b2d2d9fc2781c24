"""What is special to the PostgreSQL store: what its errors mean, servers that crash, odd texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beltline.engine.ports import LeaseLost, NotFound, Store, StoreAway, StoreBroken, StoreFull
from beltline.engine.records import Batch, JournalRow, Repeat, RunChange
from beltline.stores import StoreUnavailable
from beltline.stores.postgres import opening
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import connect
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.differential import all_runs, everything
from tests.conformance.store_rows import accept, key, moving, new_request, ready, started
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.wanted import wanted

LEASE_MS = 600_000
OVER_MS = 1  # a lease that has run out when others look


@pytest.fixture
def url(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    name = f"store_{tmp_path.name}"[:60]
    yield postgres_server.database(name)
    postgres_server.drop(name)


async def node(url: str, lease_ms: int = LEASE_MS) -> PostgresStore:
    store = await open_postgres(url, Sharing(lease_ms=lease_ms), durable=False)
    await store.join()
    return store


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A node."""
    opened = await node(url)
    yield opened
    await opened.close()


@pytest.fixture
async def db(url: str) -> AsyncIterator[Any]:
    """A connection beside the nodes'."""
    opened = await connect(read_address(url))
    yield opened
    opened.terminate()


# What errors mean


async def fails_with(db: Any, state: str) -> None:
    """From now on the server refuses each new journal row with this error."""
    await db.execute(
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{state}'; END $$;"
        " CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON beltline.journal FOR EACH ROW"
        " EXECUTE FUNCTION fail()"
    )


async def works_again(db: Any) -> None:
    await db.execute("DROP TRIGGER fail ON beltline.journal")


def work() -> Batch:
    """A new run, and one that is decided on and ends."""
    lead = new_request(2, identity="lead", identity_until=9_000)
    return Batch(
        acceptances=[started(lead)],
        journal=[JournalRow(key(1), 1, b"decided")],
        changes=[RunChange(key(1), "completed", None, owned=False)],
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("53100", StoreFull, id="no room on the disk"),
        pytest.param("53400", StoreFull, id="a quota is used up"),
        pytest.param("57P01", StoreAway, id="the server is told to stop"),
        pytest.param("57P03", StoreAway, id="the server begins"),
        pytest.param("25006", StoreAway, id="the server is a primary no more"),
    ],
)
async def test_what_will_pass_undoes_the_commit_and_the_same_succeeds_later(
    store: PostgresStore, db: Any, state: str, expected: type[Exception]
) -> None:
    await accept(store, moving(1))
    seen = [await all_runs(store), await everything(store)]
    await fails_with(db, state)
    for _ in range(2):
        with pytest.raises(expected):
            await store.commit(work())
    assert [await all_runs(store), await everything(store)] == seen
    await works_again(db)
    assert await store.commit(work()) == [None]
    assert (await store.run(key(1)))[0].status == "completed"
    repeat = started(new_request(3, identity="lead", identity_until=9_000))
    assert await store.commit(Batch([repeat])) == [Repeat(key(2), same_body=True)]


@pytest.mark.parametrize("state", ["58030", "XX001", "XX000"])
async def test_a_damaged_server_breaks_the_store_for_good(
    store: PostgresStore, db: Any, state: str
) -> None:
    await accept(store, moving(1))
    await fails_with(db, state)
    with pytest.raises(StoreBroken, match="injected"):
        await store.commit(work())
    await works_again(db)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.commit(work()),
        lambda: store.claim(0, 1, crashes=0, max_bytes=1),
        store.beat,
        store.counts,
        lambda: store.put_value("a", "b", b"1", None),
    ]
    for call in calls:
        with pytest.raises(StoreBroken, match="injected"):
            await call()


async def test_a_decision_on_a_run_of_another_node_breaks_the_store(
    store: PostgresStore, url: str
) -> None:
    other = await node(url)
    try:
        await accept(other, moving(1))
        with pytest.raises(StoreBroken, match="does not own"):
            await store.commit(work())
        with pytest.raises(NotFound):
            await other.run(key(2))
        assert (await other.run(key(1)))[0].owned
    finally:
        await other.close()


async def test_connections_that_the_server_ends_are_made_anew(
    store: PostgresStore, db: Any
) -> None:
    await accept(store, moving(1))
    for number in range(5):
        await db.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        batch = Batch(journal=[JournalRow(key(1), 1 + number, b"decided")])
        assert await until_it_answers(lambda: store.commit(batch)) == []  # noqa: B023
        await until_it_answers(store.counts)
        await until_it_answers(store.beat)
        await until_it_answers(lambda: store.put_value("a", "b", b"1", None))
    _, run = await store.run(key(1))
    assert run is not None
    assert len(run.entries) == 6


async def until_it_answers(call: Callable[[], Awaitable[Any]]) -> Any:
    """The answer of a call that is asked again while the store is away."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await call()
            except StoreAway:
                await asyncio.sleep(0.01)  # a port that nobody listens on wakes nobody


# Crashes of the server


@pytest.mark.slow
async def test_a_crash_of_the_server_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with wanted(postgres(tmp_path, durable=False)) as server:
        stores = [await node(server.database("crashed")), await node(server.url("crashed"))]
        crashes = asyncio.Event()
        acknowledged: list[int] = []
        committed = asyncio.Event()

        async def load(store: Store, first: int) -> None:
            number = first
            while not crashes.is_set():
                batch = Batch([moving(number)], [JournalRow(key(number), 1, b"decided")], [], [])
                assert await until_it_answers(lambda: store.commit(batch)) == [None]  # noqa: B023
                acknowledged.append(number)
                committed.set()
                number += 1

        loads = [
            asyncio.create_task(load(store, 100_000 * place)) for place, store in enumerate(stores)
        ]
        for _ in range(3):
            for _ in range(20):
                committed.clear()
                await committed.wait()
            await asyncio.to_thread(server.restart)
        crashes.set()
        await asyncio.gather(*loads)
        assert (await until_it_answers(stores[0].counts))["owned"] == len(acknowledged)
        for number in acknowledged:
            _, run = await stores[0].run(key(number))
            assert run is not None
            assert run.entries == [b"entry 0", b"decided"]
        for store in stores:
            assert (await until_it_answers(store.beat)).recovered == 0
            await store.close()


# A commit that is under way when others look for the silent


async def test_a_commit_that_is_in_the_middle_is_not_taken_over(
    store: PostgresStore, url: str, db: Any
) -> None:
    silent = await node(url, OVER_MS)
    try:
        await accept(silent, moving(1))
        async with asyncio.timeout(30):
            hold = db.transaction()
            await hold.start()
            # Somebody takes the commit's identity, so that it waits after its fence.
            await db.execute(
                "INSERT INTO beltline.identity (source, identity, until, key, body_hash)"
                " VALUES ('site-form', 'lead', 0, $1, '')",
                key(90),
            )
            late = asyncio.create_task(silent.commit(work()))
            await lock_is_waited_for(db)
            assert (await store.beat()).recovered == 0
            await hold.rollback()
            try:
                answers = await late
            except StoreAway:  # its answer took longer than its node waits
                answers = await silent.commit(work())
            assert answers == [None]
            # What it did is there, and is taken over with what was there before: run 2 is open.
            assert (await store.run(key(1)))[0].status == "completed"
            while not (await store.beat()).recovered:
                pass
        assert (await store.run(key(2)))[0].crashes == 1
        with pytest.raises(LeaseLost):
            await silent.commit(Batch())
    finally:
        await silent.close()


async def lock_is_waited_for(db: Any) -> None:
    """Returns when somebody waits for a lock of the database."""
    while not await db.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
        pass  # the question has given way to the others


async def test_a_claim_that_is_asked_again_gives_no_run_that_came_another_way(
    store: PostgresStore, db: Any, url: str
) -> None:
    # The fifth claim of another node took this run, and it was let go of.
    other = await node(url)
    try:
        for number in range(1, 6):
            await accept(store, ready(number))
            assert len((await other.claim(0, 1, crashes=0, max_bytes=1)).runs) == 1
        await other.commit(Batch(changes=[RunChange(key(5), "waiting", 900, owned=False)]))
        # The fifth claim of this node is in doubt when it takes it by name.
        for _ in range(4):
            await store.claim(0, 1, crashes=0, max_bytes=1)
        assert await store.claim_one(key(5)) is not None
        await db.execute("UPDATE beltline.node_claims SET claims = 5 WHERE claims = 4")
        assert (await store.claim(0, 9, crashes=0, max_bytes=1)).runs == []
    finally:
        await other.close()


# Odd texts


ODD = (
    *("", "zero \0 inside", "\0", "half \ud800 a pair"),
    *("line\nbreak", "'; DROP", "ключ", "\U0001f600"),
)


async def test_names_of_values_and_identities_hold_any_character(store: PostgresStore) -> None:
    for number, text in enumerate(ODD):
        await store.put_value(text, text, b"%d" % number, None)
        lead = started(new_request(number, identity=text, identity_until=9_000))
        assert await store.commit(Batch([lead])) == [None]
    for number, text in enumerate(ODD):
        assert await store.value(text, text, 0) == b"%d" % number
        again = started(new_request(100 + number, identity=text, identity_until=9_000))
        assert await store.commit(Batch([again])) == [Repeat(key(number), same_body=True)]
        assert await store.delete_value(text, text, 0)


# Opening


async def test_a_server_that_is_too_old_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "OLDEST_SERVER", 990_000)
    with pytest.raises(StoreUnavailable, match="needs version 15 or later"):
        await open_postgres(url, durable=False)


async def test_commits_that_are_not_waited_for_are_refused(
    url: str, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SAFE", {})  # which the tests' server is not
    await (await open_postgres(url)).close()
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(StoreUnavailable, match="synchronous_commit switched off"):
        await open_postgres(url)
    await (await open_postgres(url, durable=False)).close()


async def test_a_call_before_joining_is_the_programmers_mistake(url: str) -> None:
    store = await open_postgres(url, durable=False)
    try:
        with pytest.raises(RuntimeError, match="has not joined"):
            await store.commit(Batch())
        assert await store.counts() == {"ready": 0, "owned": 0, "held": 0, "stopped": 0}
    finally:
        await store.close()
