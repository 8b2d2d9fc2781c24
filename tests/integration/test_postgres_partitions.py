"""Ranges of time as partitions: made ahead, filled from the default one, dropped when old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.engine.ports import NotFound
from beltline.engine.records import Acceptance, Batch, JournalRow, NewRequest, NewRun, RunChange
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import connect
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.partitions import (
    Range,
    cover,
    drop_before,
    missing,
    range_of,
    sweep_before,
    there,
)
from beltline.stores.postgres.sharing import DAY_MS, Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import release
from tests.servers.postgres import PostgresServer

TODAY = 1_780_000_000_000 // DAY_MS * DAY_MS


@pytest.fixture
async def store(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    """A node on an empty database."""
    url = postgres_server.database(f"partitions_{tmp_path.name}"[:60])
    opened = await open_postgres(url, Sharing(), durable=False)
    await opened.join()
    yield opened
    await opened.close()


@pytest.fixture
async def db(store: PostgresStore) -> AsyncIterator[Any]:
    """A connection beside the node's."""
    opened = await connect(read_address(store._address.url))
    yield opened
    await opened.close()


def key_at(time: int, number: int = 0) -> bytes:
    return time.to_bytes(6) + b"\x70\x00\x80" + number.to_bytes(7)


def run_at(time: int, number: int = 0, *, held: bool = False) -> Acceptance:
    key = key_at(time, number)
    request = NewRequest(key, "form", "deal", time, b"{}", b"{}", held=held)
    if held:
        return Acceptance(request)
    return Acceptance(request, NewRun(key, 1, "moving", None, True), [JournalRow(key, 0, b"[]")])


async def lies_in(db: Any, table: str, key: bytes) -> str:
    column = "run" if table == "journal" else "key"
    name: str = await db.fetchval(
        f"SELECT tableoid::regclass::text FROM beltline.{table} WHERE {column} = $1",
        key,
    )
    return name.removeprefix("beltline.")


# Which are missing


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=5),
    st.integers(0, 60),
    st.integers(1, 40),
    st.integers(1, 15),
)
def test_what_is_missing_fills_the_span_and_meets_nothing(
    spans: list[tuple[int, int]], begin: int, length: int, width: int
) -> None:
    existing: list[Range] = []
    for at, size in spans:
        if all(at + size <= other.begin or at >= other.end for other in existing):
            existing.append(Range(at, at + size))
    made = missing(existing, begin, begin + length, width)
    moments = [moment for piece in (*existing, *made) for moment in range(piece.begin, piece.end)]
    assert len(moments) == len(set(moments))
    assert set(range(begin, begin + length)) <= set(moments)
    assert all(piece.end - piece.begin <= width for piece in made)
    assert missing([*existing, *made], begin, begin + length, width) == []


def test_partitions_are_as_wide_as_suits_what_is_kept() -> None:
    def width_days(keep_days: int, partition_days: int = 0) -> float:
        return (
            Sharing(keep_ms=keep_days * DAY_MS, partition_ms=partition_days * DAY_MS).width_ms
            / DAY_MS
        )

    assert [width_days(days) for days in (1, 30, 90, 365)] == [1, 1, 3, 7]
    assert width_days(0) == 7
    assert width_days(365, 1) == 1


def test_a_name_tells_its_range() -> None:
    piece = Range(TODAY, TODAY + DAY_MS)
    assert range_of(f"request_{piece.suffix}") == piece


# Making and dropping


async def test_a_node_finds_partitions_for_today_and_tomorrow(
    store: PostgresStore, db: Any
) -> None:
    now = await db.fetchval("SELECT beltline.now_ms()")
    covered = await there(db)
    for moment in (now, now + DAY_MS):
        assert any(piece.begin <= moment < piece.end for piece in covered)
    await store.commit(Batch([run_at(now)]))
    assert await lies_in(db, "request", key_at(now)) != "request_default"
    assert await lies_in(db, "journal", key_at(now)) != "journal_default"


async def test_rows_of_the_default_partition_move_into_one_that_is_made(
    store: PostgresStore, db: Any
) -> None:
    await store.commit(Batch([run_at(TODAY, 1), run_at(TODAY - 1, 2)]))
    await store.commit(Batch(changes=[RunChange(key_at(TODAY, 1), "completed", None, owned=False)]))
    assert await lies_in(db, "finished", key_at(TODAY, 1)) == "finished_default"
    assert await cover(db, TODAY, TODAY + DAY_MS) == 1
    assert await cover(db, TODAY, TODAY + DAY_MS) == 0
    suffix = Range(TODAY, TODAY + DAY_MS).suffix
    for table in ("request", "journal", "finished"):
        assert await lies_in(db, table, key_at(TODAY, 1)) == f"{table}_{suffix}"
    assert await lies_in(db, "request", key_at(TODAY - 1, 2)) == "request_default"
    record, run = await store.run(key_at(TODAY, 1))
    assert record.status == "completed"
    assert run is not None
    assert run.entries == [b"[]"]


async def test_what_is_old_is_dropped_and_what_is_open_stays(store: PostgresStore, db: Any) -> None:
    old = TODAY - 30 * DAY_MS
    await cover(db, old, old + 2 * DAY_MS)
    await store.commit(
        Batch([run_at(old, 1), run_at(old, 2), run_at(old, 3, held=True), run_at(old + DAY_MS, 4)])
    )
    ended = [RunChange(key_at(old, 1), "completed", None, owned=False)]
    ended.append(RunChange(key_at(old + DAY_MS, 4), "completed", None, owned=False))
    await store.commit(Batch(changes=ended))
    assert await drop_before(db, old + DAY_MS) == 1
    assert await drop_before(db, old + DAY_MS) == 0
    with pytest.raises(NotFound):
        await store.run(key_at(old, 1))
    assert (await store.run(key_at(old + DAY_MS, 4)))[0].status == "completed"
    _, run = await store.run(key_at(old, 2))
    assert run is not None
    assert run.entries == [b"[]"]
    # The open one goes on, and the held one is released.
    await store.commit(
        Batch(
            journal=[JournalRow(key_at(old, 2), 1, b"[1]")],
            changes=[RunChange(key_at(old, 2), "completed", None, owned=False)],
        )
    )
    assert await release(store, 9, source="form", process="deal") == 1
    assert (await store.run(key_at(old, 3)))[1] is not None
    assert await db.fetchval("SELECT count(*) FROM beltline.finished_default") == 1
    # What has ended meanwhile goes the next time, and nothing else.
    assert await sweep_before(db, old) == 0
    assert await sweep_before(db, old + DAY_MS) == 1
    with pytest.raises(NotFound):
        await store.run(key_at(old, 2))
    assert await db.fetchval("SELECT count(*) FROM beltline.journal_default") == 0
    assert (await store.run(key_at(old, 3)))[1] is not None
    assert await sweep_before(db, old + DAY_MS) == 0


async def test_a_busy_table_puts_tending_off(store: PostgresStore, db: Any) -> None:
    async with db.transaction():
        await db.execute("LOCK TABLE beltline.request_default IN ACCESS EXCLUSIVE MODE")
        other = await connect(read_address(store._address.url))
        try:
            with pytest.raises(asyncpg.LockNotAvailableError):
                await cover(other, TODAY - 90 * DAY_MS, TODAY - 89 * DAY_MS)
        finally:
            other.terminate()
    assert await cover(db, TODAY - 90 * DAY_MS, TODAY - 89 * DAY_MS) == 1


async def test_retention_is_kept_by_the_node_itself(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.database(f"retention_{tmp_path.name}"[:60])
    first = await open_postgres(url, Sharing(partition_ms=DAY_MS), durable=False)
    db = await connect(read_address(url))
    try:
        await first.join()
        now = await db.fetchval("SELECT beltline.now_ms()")
        await cover(db, now - 9 * DAY_MS, now - 8 * DAY_MS)
        await first.commit(Batch([run_at(now - 9 * DAY_MS)]))
        ended = RunChange(key_at(now - 9 * DAY_MS), "completed", None, owned=False)
        await first.commit(Batch(changes=[ended]))
        before = len(await there(db))
        second = await open_postgres(url, Sharing(keep_ms=7 * DAY_MS), durable=False)
        await second.join()
        await second.close()
        assert len(await there(db)) < before
        with pytest.raises(NotFound):
            await first.run(key_at(now - 9 * DAY_MS))
    finally:
        await db.close()
        await first.close()


@pytest.mark.slow
async def test_partitions_come_and_go_under_load(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.database(f"load_{tmp_path.name}"[:60])
    sharing = Sharing(keep_ms=1_000, partition_ms=1_000)
    nodes = [await open_postgres(url, sharing, durable=False) for _ in range(2)]
    db = await connect(read_address(url))
    seen: set[Range] = set()
    kept: list[bytes] = []
    dropped = asyncio.Event()

    async def move(store: PostgresStore, place: int) -> None:
        """Accepts, leaves some open, ends the others."""
        number = place * 1_000_000
        while not dropped.is_set():
            now = await db_now(store)
            runs = [run_at(now, number + each) for each in range(10)]
            number += 10
            assert await store.commit(Batch(runs)) == [None] * 10
            keys = [run.request.key for run in runs]
            changes = [RunChange(each, "completed", None, owned=False) for each in keys[1:]]
            rows = [JournalRow(each, 1, b"[1]") for each in keys]
            assert await store.commit(Batch(journal=rows, changes=changes)) == []
            kept.append(keys[0])
            with suppress(NotFound):  # on a slow machine it was dropped meanwhile
                await store.post(keys[1], b"once more", 5)
            await store.claim(10, 10, crashes=0, max_bytes=10**9)

    async def tend(store: PostgresStore) -> None:
        while not dropped.is_set():
            store._tend_at = 0.0
            await store.tend()
            ranges = set(await store._changes.work(there))
            seen.update(ranges)
            if len(seen - ranges) >= 4:
                dropped.set()

    try:
        for store in nodes:
            await store.join()
        async with asyncio.timeout(50):
            await asyncio.gather(
                *(move(store, n) for n, store in enumerate(nodes)), *map(tend, nodes)
            )
        assert len(await there(db)) < 12
        for key in kept:
            _, run = await nodes[0].run(key)
            assert run is not None
            assert run.entries == [b"[]", b"[1]"]
        left = await db.fetchval("SELECT count(*) FROM beltline.request")
        assert left >= len(kept)
        assert await nodes[0].hand_over() + await nodes[1].hand_over() >= len(kept)
    finally:
        await db.close()
        for store in nodes:
            await store.close()


async def db_now(store: PostgresStore) -> int:
    """The time by the store's clock."""
    now = (await store.beat()).now
    assert now is not None
    return now
