"""A store behind PgBouncer in transaction mode: each transaction may get another connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from beltline.engine.ports import LeaseLost, NotFound
from beltline.engine.records import Batch, JournalRow, Repeat, RunChange, RunFilter
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import (
    accept,
    claimed,
    held,
    key,
    moving,
    new_request,
    ready,
    release,
    started,
)
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import PostgresServer
from tests.servers.wanted import wanted


@pytest.fixture(scope="module")
def pooled(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a database through the pooler."""
    postgres_server.database("shared_by_pool")
    with wanted(
        pgbouncer(tmp_path_factory.mktemp("pgbouncer"), postgres_server, "shared_by_pool")
    ) as url:
        yield f"{url}?pooling=transaction"


@pytest.fixture
async def nodes(pooled: str) -> AsyncIterator[list[PostgresStore]]:
    """Two nodes."""
    opened = [await open_postgres(pooled, Sharing(), durable=False) for _ in range(2)]
    for store in opened:
        await store.join()
    yield opened
    for store in opened:
        await store.close()


async def test_two_nodes_share_their_work_through_a_pooler(nodes: list[PostgresStore]) -> None:
    first, second = nodes
    await accept(first, *(ready(number, number) for number in range(60)), held(100))
    shares = [*await asyncio.gather(claimed(first, 100, 40), claimed(second, 100, 40))]
    # What one node looks at, the other passes over: that comes with the next claim.
    shares.append(await claimed(second, 100, 40))
    assert sorted(number for share in shares for number in share) == list(range(60))
    lead = new_request(200, identity="a", identity_until=9_000)
    again = new_request(201, identity="a", identity_until=9_000)
    await accept(first, started(lead), moving(202))
    assert await second.commit(Batch([started(again)])) == [Repeat(key(200), same_body=True)]
    await first.post(key(202), b"hello", 5)
    (message,) = await first.messages_after(0, 9)
    await first.commit(
        Batch(
            journal=[JournalRow(key(202), 1, b"decided")],
            changes=[RunChange(key(202), "completed", None, owned=False)],
            messages_done=[message.id],
        )
    )
    record, run = await second.run(key(202))
    assert record.status == "completed"
    assert run is not None
    assert run.entries == [b"entry 0", b"decided"]
    assert len(await second.runs(RunFilter(status="completed"), 9)) == 1
    assert await release(second, 9) == 1
    assert (await first.allow("portal", 9, 5, 3_600_000)).granted == 5
    with pytest.raises(NotFound):
        await second.run(key(999))
    assert await first.hand_over() > 0
    with pytest.raises(LeaseLost):
        await first.beat()
    await second.tend()


async def test_many_calls_at_once_go_through_a_pooler(nodes: list[PostgresStore]) -> None:
    first, second = nodes
    await asyncio.gather(
        *(accept(first, moving(1_000 + number)) for number in range(50)),
        *(accept(second, moving(2_000 + number)) for number in range(50)),
        *(second.counts() for _ in range(20)),
    )
    assert (await first.counts())["owned"] >= 100
