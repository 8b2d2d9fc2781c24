"""The SQLite store when its files fail: no room, broken writes and syncs, another writer.

The sweeps are in SQLite's own style: the first call fails, then the second, and so on until the
scenario runs through without meeting its fault.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import apsw
import pytest

from beltline.engine.ports import NotFound, StoreBroken, StoreFull
from beltline.engine.records import Batch, JournalRow, RunChange
from beltline.stores import StoreUnavailable
from beltline.stores.sqlite import connection, threads
from beltline.stores.sqlite.store import SqliteStore
from tests.conformance.store_rows import accept, key, moving
from tests.integration.faulty_files import FaultyFiles
from tests.integration.sqlite_writer import writer_held_up

RUNS = range(1, 4)


@pytest.fixture
def files() -> Iterator[FaultyFiles]:
    faulty = FaultyFiles("faulty")
    yield faulty
    faulty.unregister()


async def work(store: SqliteStore) -> dict[int, Exception | None]:
    """Accepts runs one after another, each with a journal; gives what became of each."""
    outcome: dict[int, Exception | None] = {}
    for number in RUNS:
        batch = Batch(
            acceptances=[moving(number)],
            journal=[JournalRow(key(number), seq, bytes(300)) for seq in (1, 2, 3)],
            changes=[RunChange(key(number), "completed", None, owned=False)],
        )
        try:
            await store.commit(batch)
        except (StoreFull, StoreBroken) as error:
            outcome[number] = error
        else:
            outcome[number] = None
    return outcome


async def found_whole(path: Path) -> set[int]:
    """The runs in the store, each of which must be there with all that belongs to it."""
    store = SqliteStore(path, exclusive=True)
    try:
        assert store._writer.db.pragma("integrity_check") == "ok"
        found = set()
        for number in RUNS:
            try:
                record, run = await store.run(key(number))
            except NotFound:
                continue
            assert run is not None
            assert (len(run.entries), record.status) == (4, "completed")
            found.add(number)
        return found
    finally:
        await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("call", ["write", "sync"])
async def test_a_failed_write_or_sync_breaks_the_store_and_loses_nothing(
    call: str, files: FaultyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "CHECKPOINT_PAGES", 5)  # so that the sweep meets checkpoints too
    broken = 0
    for n in count(1):
        path = tmp_path / f"{n}.db"
        store = SqliteStore(path, exclusive=True, vfs=files.name)
        files.arm(n, apsw.IOError("injected"), f"log {call}", f"database {call}")
        outcome = await work(store)
        try:
            await store.commit(Batch())
        except StoreBroken:
            broken += 1
            with pytest.raises(StoreBroken):
                await store.counts()
        else:
            # Nothing is known of a fault later than this: it came up in closing, if at all.
            assert set(outcome.values()) == {None}
        met = files.fired
        await store.close()
        kept = {number for number, error in outcome.items() if error is None}
        first_failure = min((number for number in RUNS if number not in kept), default=None)
        assert kept == set(range(1, first_failure or len(RUNS) + 1))  # none after the first
        # An unanswered commit may be there, whole: nobody knows. Nothing else may.
        assert kept <= await found_whole(path) <= kept | {first_failure}
        if not met and not files.fired:
            break
    assert broken > len(RUNS)


@pytest.mark.slow
async def test_no_room_undoes_the_commit_and_the_same_succeeds_later(
    files: FaultyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "CHECKPOINT_PAGES", 5)
    full = 0
    for n in count(1):
        path = tmp_path / f"{n}.db"
        store = SqliteStore(path, exclusive=True, vfs=files.name)
        files.arm(n, apsw.FullError("injected"), "log write", "database write")
        refused = [number for number, error in (await work(store)).items() if error]
        met = files.fired
        full += len(refused)
        for number in refused:
            with pytest.raises(NotFound):
                await store.run(key(number))
            batch = Batch(
                acceptances=[moving(number)],
                journal=[JournalRow(key(number), seq, bytes(300)) for seq in (1, 2, 3)],
                changes=[RunChange(key(number), "completed", None, owned=False)],
            )
            assert await store.commit(batch) == [None]
        await store.close()
        assert await found_whole(path) == set(RUNS)
        if not met:
            break
    assert full > len(RUNS)


async def test_a_full_database_refuses_every_call_of_the_transaction(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db", exclusive=True)
    await accept(store, moving(1))
    db = store._writer.db
    db.pragma("max_page_count", db.pragma("page_count") + 2)
    async with writer_held_up(store):
        calls = asyncio.gather(
            store.post(key(1), b"small", 0),
            store.commit(Batch(journal=[JournalRow(key(1), seq, bytes(50_000)) for seq in (1, 2)])),
            return_exceptions=True,
        )
    assert [type(error) for error in await calls] == [StoreFull, StoreFull]
    assert await store.messages_after(0, 9) == []
    db.pragma("max_page_count", 1_000_000)
    await store.commit(Batch(journal=[JournalRow(key(1), 1, bytes(50_000))]))
    await store.close()


async def test_a_failed_read_breaks_the_store(files: FaultyFiles, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.db", exclusive=True, vfs=files.name)
    await accept(store, moving(1))
    files.arm(1, apsw.IOError("injected"), "log read", "database read")
    with pytest.raises(StoreBroken):
        await store.run(key(1))
    with pytest.raises(StoreBroken):
        await store.commit(Batch())
    await store.close()


@pytest.mark.parametrize("call", ["log sync", "database write", "database sync"])
async def test_a_log_that_cannot_be_copied_breaks_the_store(
    call: str, files: FaultyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "CHECKPOINT_PAGES", 1)
    store = SqliteStore(tmp_path / "hub.db", exclusive=True, vfs=files.name)
    # Two syncs of the log, which starts anew here, are the commit's; the third starts the copying.
    files.arm(3 if call == "log sync" else 1, apsw.IOError("injected"), call)
    await accept(store, moving(1))  # it is in the log, and answered
    with pytest.raises(StoreBroken):
        await accept(store, moving(2))
    assert files.fired
    await store.close()
    again = SqliteStore(tmp_path / "hub.db", exclusive=True)
    assert await again.join() == 1
    await again.close()


async def test_a_broken_store_does_not_sync_again_when_it_closes(
    files: FaultyFiles, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "hub.db", exclusive=True, vfs=files.name)
    await accept(store, moving(1))
    files.arm(1, apsw.IOError("injected"), "log sync", "database sync")
    with pytest.raises(StoreBroken):
        await accept(store, moving(2))
    files.arm(1, apsw.IOError("a second sync"), "log sync", "database sync")
    await store.close()
    assert not files.fired


async def test_what_a_dead_process_left_is_synced_before_it_is_acted_on(
    files: FaultyFiles, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "hub.db", exclusive=True)
    await accept(store, moving(1))
    left = tmp_path / "left"
    left.mkdir()
    for name in ("hub.db", "hub.db-wal"):  # as they lie there when a process is killed
        shutil.copy(tmp_path / name, left / name)
    await store.close()
    files.arm(1, apsw.IOError("injected"), "log sync", "database sync")
    with pytest.raises(StoreUnavailable):
        SqliteStore(left / "hub.db", exclusive=True, vfs=files.name)
    assert files.fired
    store = SqliteStore(left / "hub.db", exclusive=True)
    assert await store.join() == 1
    await store.close()


async def test_another_writer_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 1)
    store = SqliteStore(tmp_path / "hub.db", exclusive=True)
    other = apsw.Connection(str(tmp_path / "hub.db"))
    other.execute("BEGIN IMMEDIATE")
    tries = 0
    tried_again = threading.Event()

    def watch(_cursor: apsw.Cursor, statement: str, _bindings: object) -> bool:
        nonlocal tries
        tries += statement == "BEGIN IMMEDIATE"
        if tries == 3:
            tried_again.set()
        return True

    store._writer.db.exec_trace = watch
    accepting = asyncio.ensure_future(accept(store, moving(1)))
    assert await asyncio.to_thread(tried_again.wait, 20)
    assert not accepting.done()
    other.execute("COMMIT")
    await accepting
    other.close()
    await store.close()
