"""Tables whose rows come and go with the work stay small, as long as they are vacuumed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from beltline.engine.records import Batch, JournalRow, RunChange
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import connect
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import (
    ANY_SIZE,
    accept,
    held,
    key,
    ready,
    release,
)
from tests.servers.postgres import PostgresServer

TABLES = ("run", "node", "node_claims", "inbox", "held", "allowance", "allowance_use", "identity")
RUNS = 100  # of a round
SMALL_BYTES = 65_536


@pytest.fixture
async def store(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    """A node on an empty database."""
    url = postgres_server.database(f"bloat_{tmp_path.name}"[:60])
    opened = await open_postgres(url, Sharing(lease_ms=600_000), durable=False)
    await opened.join()
    yield opened
    await opened.close()


async def work(store: PostgresStore, turn: int) -> None:
    """Runs and held requests that are accepted, moved in three decisions, and end."""
    first = turn * 10 * RUNS
    numbers = range(first, first + RUNS)
    await accept(store, *map(ready, numbers), *(held(first + 2 * RUNS + n) for n in range(RUNS)))
    assert await release(store, RUNS, now=0) == RUNS
    for number in numbers:
        await store.post(key(number), b"hello", 0)
    runs = (await store.claim(0, 3 * RUNS, crashes=0, max_bytes=ANY_SIZE)).runs
    assert len(runs) == 2 * RUNS
    for decision in range(3):
        for some in (runs[::2], runs[1::2]):
            messages = [one.id for run in some for one in run.messages]
            await store.commit(
                Batch(
                    journal=[JournalRow(run.key, decision, b"decided") for run in some],
                    changes=[
                        RunChange(run.key, "moving", None, owned=True)
                        if decision < 2
                        else RunChange(run.key, "completed", None, owned=False)
                        for run in some
                    ],
                    messages_done=messages if decision == 0 else [],
                )
            )
    await store.allow("portal", 1, 10, 1)
    await store.beat()


async def sizes(db: Any) -> dict[str, int]:
    """The bytes of each table with its indexes."""
    return {
        table: await db.fetchval(f"SELECT pg_total_relation_size('beltline.{table}')")
        for table in TABLES
    }


@pytest.mark.slow
async def test_tables_of_what_is_open_do_not_grow_with_what_has_ended(
    store: PostgresStore,
) -> None:
    db = await connect(read_address(store._address.url))
    try:
        early: dict[str, int] = {}
        for turn in range(30):
            await work(store, turn)
            for table in TABLES:
                await db.execute(f"VACUUM (TRUNCATE off) beltline.{table}")
            if turn == 4:
                early = await sizes(db)
        late = await sizes(db)
        for table in TABLES:
            assert late[table] <= 1.5 * early[table] + SMALL_BYTES, (table, early, late)
        assert (await store.counts())["owned"] == 0
    finally:
        await db.close()
