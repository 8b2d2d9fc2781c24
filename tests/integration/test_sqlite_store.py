"""What is special to the SQLite store: group commit, settings, opening, plans of its statements."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

from beltline.engine.ports import NotFound
from beltline.engine.records import Batch, JournalRow
from beltline.stores import (
    NotAStore,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    open_store,
    sqlite_path,
)
from beltline.stores.sqlite import memory, schema
from beltline.stores.sqlite.many_rows import LONGEST
from beltline.stores.sqlite.store import SqliteStore
from beltline.stores.sqlite.threads import Job
from tests.conformance.store_rows import accept, claimed, key, moving, ready
from tests.integration.sqlite_writer import writer_held_up


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "hub.db", exclusive=True)
    yield opened
    await opened.close()


# Group commit


async def test_calls_that_wait_at_the_same_time_share_a_commit_and_a_callback(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accept(store, *(moving(number) for number in range(40)))
    committed = 0
    callbacks = 0

    def count_commit() -> bool:
        nonlocal committed
        committed += 1
        return False  # go on

    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def count_callback(*args: Any, **kwargs: Any) -> asyncio.Handle:
        nonlocal callbacks
        callbacks += 1
        return wake(*args, **kwargs)

    store._writer.db.set_commit_hook(count_commit)
    monkeypatch.setattr(loop, "call_soon_threadsafe", count_callback)
    before = store.commits
    async with writer_held_up(store):
        callbacks = 0
        calls = [
            store.commit(Batch(journal=[JournalRow(key(number), 1, b"decided")]))
            for number in range(40)
        ]
        missing = store.post(key(99), b"lost", 0)
        waiting = asyncio.gather(*calls, missing, return_exceptions=True)
    *answers, error = await waiting
    assert answers == [[]] * 40
    assert isinstance(error, NotFound)
    assert store.commits - before == committed == 2  # of the call in front, and of all the others
    assert callbacks == 2


async def test_a_mistaken_call_fails_alone(store: SqliteStore) -> None:
    await accept(store, moving(1))
    wrong: Any = object()
    half = [JournalRow(key(1), 2 + number, b"half") for number in range(LONGEST)]
    async with writer_held_up(store):
        calls = asyncio.gather(
            store.commit(Batch(journal=[JournalRow(key(1), 1, b"before")])),
            store.commit(Batch(journal=[*half, JournalRow(key(1), 1_000, wrong)])),
            store.commit(Batch(journal=[JournalRow(key(1), 3, b"after")])),
            return_exceptions=True,
        )
    before, error, after = await calls
    assert (before, after) == ([], [])
    assert isinstance(error, TypeError)
    _, run = await store.run(key(1))
    assert run is not None
    assert run.entries == [b"entry 0", b"before", b"after"]


async def test_a_guarded_call_that_fails_is_undone_alone(store: SqliteStore) -> None:
    def write_and_fail(db: apsw.Connection) -> None:
        memory.put_value(db, "a", "undone", b"1", None)
        raise NotFound("too late")

    async with writer_held_up(store):
        calls = asyncio.gather(
            store.put_value("a", "before", b"1", None),
            store._enqueue(store._writes, Job(write_and_fail, guarded=True)),
            store.put_value("a", "after", b"1", None),
            return_exceptions=True,
        )
    before = store.commits
    assert [type(answer) for answer in await calls] == [type(None), NotFound, type(None)]
    assert store.commits - before <= 1  # the others were not done again
    assert await store.value("a", "before", 0) == await store.value("a", "after", 0) == b"1"
    assert await store.value("a", "undone", 0) is None


async def test_a_cancelled_wait_does_not_disturb_the_others(store: SqliteStore) -> None:
    async with writer_held_up(store):
        gone = asyncio.ensure_future(store.put_value("a", "a", b"1", None))
        stays = asyncio.ensure_future(store.put_value("a", "b", b"2", None))
        await asyncio.sleep(0)
        gone.cancel()
    await stays
    assert gone.cancelled()
    assert await store.value("a", "a", 0) == b"1"  # it was on its way


def test_a_store_serves_several_loops(tmp_path: Path) -> None:
    """A module's coroutine runs on another loop than the belt."""

    async def elsewhere(store: SqliteStore) -> bytes | None:
        await store.put_value("a", "a", b"1", None)
        return await store.value("a", "a", 0)

    async def here() -> None:
        store = SqliteStore(tmp_path / "hub.db")
        found = await asyncio.gather(
            *(asyncio.to_thread(asyncio.run, elsewhere(store)) for _ in range(3)), elsewhere(store)
        )
        assert found == [b"1"] * 4
        await store.close()

    asyncio.run(here())


# Durability and settings


async def test_every_commit_is_synced_and_memory_is_bounded(store: SqliteStore) -> None:
    writer, reader = store._writer.db, store._readers[0].db
    assert writer.pragma("journal_mode") == "wal"
    assert writer.pragma("synchronous") == 2  # FULL
    for db in (writer, reader):
        assert -20_000 <= db.pragma("cache_size") < 0  # KiB
        assert db.pragma("mmap_size") == 0
    assert reader.pragma("query_only") == 1


async def test_only_a_store_to_be_thrown_away_is_not_synced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db", durable=False)
    assert store._writer.db.pragma("synchronous") == 0
    await store.close()


async def test_the_log_is_copied_and_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.stores.sqlite.threads.CHECKPOINT_PAGES", 50)
    store = SqliteStore(tmp_path / "hub.db", exclusive=True)
    await accept(store, moving(1))
    for seq in range(1, 200):
        await store.commit(Batch(journal=[JournalRow(key(1), seq, bytes(4_000))]))
    assert (tmp_path / "hub.db-wal").stat().st_size < 100 * 4_200
    await store.close()
    assert not (tmp_path / "hub.db-wal").exists()


async def test_a_long_reader_does_not_stop_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.stores.sqlite.threads.CHECKPOINT_PAGES", 20)
    store = SqliteStore(tmp_path / "hub.db", exclusive=True)
    await accept(store, moving(1))
    reader = apsw.Connection(str(tmp_path / "hub.db"))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM journal").get == 1
    for seq in range(1, 100):
        await store.commit(Batch(journal=[JournalRow(key(1), seq, bytes(4_000))]))
    assert reader.execute("SELECT count(*) FROM journal").get == 1
    reader.close()
    await store.close()


async def test_only_the_owner_may_read_the_files(store: SqliteStore, tmp_path: Path) -> None:
    await accept(store, moving(1))
    assert set(modes(tmp_path).values()) == {0o600}


def modes(folder: Path) -> dict[str, int]:
    """The rights of each file in a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


# Opening


async def test_an_address_names_a_file() -> None:
    assert sqlite_path("sqlite:////srv/hub/beltline.db") == Path("/srv/hub/beltline.db")
    assert sqlite_path("sqlite:///data/beltline.db") == Path("data/beltline.db")
    for url in (
        "mysql://localhost/hub",
        "sqlite://",
        "sqlite:///",
        "sqlite:///data/",
        "sqlite:///:memory:",
        "sqlite:///hub.db?mode=ro",
        "hub.db",
    ):
        with pytest.raises(ValueError, match=r"sqlite:///|plain path"):
            await open_store(url)


async def test_two_servers_of_one_store_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    server = await open_store(url, exclusive=True)
    with pytest.raises(StoreInUse, match=r"process \d+"):
        await open_store(url, exclusive=True)
    await accept(server, moving(1))
    beside = await open_store(url)
    assert await beside.post(key(1), b"hello", 0) == 1
    await beside.publish("deal-intake", "yaml", "one", 0)
    assert [message.body for message in await server.messages_after(0, 9)] == [b"hello"]
    await beside.close()
    await server.close()
    again = await open_store(url, exclusive=True)
    await again.close()


async def test_claims_of_two_stores_on_one_file_never_share_a_run(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "hub.db") for _ in range(2)]
    await accept(stores[0], *(ready(number) for number in range(200)))
    found = await asyncio.gather(*(claimed(store, 9, 7) for store in stores * 20))
    assert sorted(number for some in found for number in some) == list(range(200))
    for store in stores:
        await store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"this is a letter, not a database. " * 100)
    with pytest.raises(NotAStore, match="not a store of the hub"):
        SqliteStore(path, exclusive=True)
    assert path.read_bytes().startswith(b"this is a letter")


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db")
    await accept(store, *(moving(number) for number in range(50)))
    await store.close()
    content = (tmp_path / "hub.db").read_bytes()
    (tmp_path / "hub.db").write_bytes(content[:100] + bytes(4_000) + content[4_100:])
    with pytest.raises(NotAStore, match="damaged"):
        SqliteStore(tmp_path / "hub.db")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "hub.db"))
    other.execute("CREATE TABLE album (title TEXT)")
    other.close()
    with pytest.raises(NotAStore, match="another program"):
        SqliteStore(tmp_path / "hub.db", exclusive=True)


async def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db")
    store._writer.db.pragma("user_version", 99)
    await store.close()
    with pytest.raises(StoreTooNew, match="version 99"):
        SqliteStore(tmp_path / "hub.db", exclusive=True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="folder must exist"):
        SqliteStore(tmp_path / "missing" / "hub.db")


def test_a_failed_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"x" * 5_000)
    for _ in range(2):
        with pytest.raises(NotAStore):
            SqliteStore(path, exclusive=True)


# Migrations


def test_migrations_are_numbered_without_gaps() -> None:
    assert list(schema.migrations()) == list(range(1, len(schema.migrations()) + 1))


async def test_a_migration_happens_whole_or_not_at_all(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accept(store, moving(1))
    await store.close()
    known = schema.migrations()
    after = max(known) + 1
    broken = known | {after: "CREATE TABLE added (a TEXT); INSERT INTO missing VALUES (1);"}
    monkeypatch.setattr(schema, "migrations", lambda: broken)
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path / "hub.db")
    mended = known | {after: "CREATE TABLE added (a TEXT); INSERT INTO added VALUES ('x');"}
    monkeypatch.setattr(schema, "migrations", lambda: mended)
    migrated = SqliteStore(tmp_path / "hub.db")
    assert migrated._writer.db.execute("SELECT a FROM added").get == "x"
    assert migrated._writer.db.pragma("user_version") == after
    assert (await migrated.run(key(1)))[0].owned
    await migrated.close()


async def test_a_store_is_not_migrated_under_a_running_server(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema.migrations()
    newer = known | {max(known) + 1: "CREATE TABLE added (a TEXT)"}
    monkeypatch.setattr(schema, "migrations", lambda: newer)
    with pytest.raises(StoreInUse):
        SqliteStore(tmp_path / "hub.db")
    await accept(store, moving(1))
