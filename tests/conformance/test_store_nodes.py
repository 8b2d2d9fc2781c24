"""Several nodes on one PostgreSQL store: nothing is claimed, accepted, counted or fired twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from beltline.engine.ports import LeaseLost
from beltline.engine.records import Acceptance, Batch, NewRun, Repeat, RunChange
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_kinds import DATABASES
from tests.conformance.store_rows import (
    ANY_SIZE,
    VERSION,
    accept,
    claimed,
    key,
    moving,
    new_request,
    numbers,
    ready,
    started,
)
from tests.servers.postgres import PostgresServer

NODES = 4
LONG_MS = 600_000

Nodes = list[PostgresStore]


@pytest.fixture
def url(postgres_server: PostgresServer, tmp_path: Path) -> str:
    """The address of an empty database."""
    DATABASES.server = postgres_server
    return DATABASES.url(tmp_path)


async def node(url: str, lease_ms: int = LONG_MS) -> PostgresStore:
    store = await open_postgres(url, Sharing(lease_ms=lease_ms), durable=False)
    await store.join()
    return store


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Nodes]:
    """Four nodes that have joined."""
    opened = [await node(url) for _ in range(NODES)]
    yield opened
    for store in opened:
        await store.close()


async def test_two_nodes_never_claim_one_run(nodes: Nodes) -> None:
    await accept(nodes[0], *(ready(number, number % 7) for number in range(400)))

    async def claim_on(store: PostgresStore) -> list[int]:
        taken: list[int] = []
        while found := await claimed(store, 100, 9):
            taken += found
        return taken

    taken = await asyncio.gather(*map(claim_on, nodes))
    assert sorted(number for each in taken for number in each) == list(range(400))
    assert sum(map(bool, taken)) > 1


async def test_an_identity_is_one_requests_across_all_nodes(nodes: Nodes) -> None:
    names, turns = 300, 8

    def batch(of: int, turn: int) -> Batch:
        first = (of * turns + turn) * names
        # Each node in another order, and each name twice in some batches.
        order = sorted(range(names), key=lambda name: (name * (2 * of + 3)) % names)
        chosen = [order[at % names] for at in range(turn * 31, turn * 31 + 80)] + order[:5]
        return Batch(
            [
                started(
                    new_request(
                        first + place,
                        accepted_at=1_000,
                        identity=f"lead {name}",
                        identity_until=9_000,
                        body_hash=b"%d" % name,
                    )
                )
                for place, name in enumerate(chosen)
            ]
        )

    async def submit(of: int) -> list[tuple[Batch, list[Repeat | None]]]:
        return [
            (each, await nodes[of].commit(each))
            for each in (batch(of, turn) for turn in range(turns))
        ]

    told = await asyncio.gather(*map(submit, range(NODES)))
    holders: dict[str, set[bytes]] = {}
    for each, answers in (pair for own in told for pair in own):
        for acceptance, repeat in zip(each.acceptances, answers, strict=True):
            holder = acceptance.request.key if repeat is None else repeat.key
            holders.setdefault(acceptance.request.identity or "", set()).add(holder)
            assert repeat is None or repeat.same_body
    assert all(len(keys) == 1 for keys in holders.values())
    assert (await nodes[0].counts())["owned"] == len(holders)


async def test_a_window_counts_the_uses_of_all_nodes(nodes: Nodes) -> None:
    stamps: list[int] = []

    async def use(store: PostgresStore) -> None:
        while len(stamps) < 80:
            found = await store.allow("portal", 2, 10, 60)
            stamps.extend([found.at] * found.granted)

    async with asyncio.timeout(30):
        await asyncio.gather(*map(use, nodes))
    stamps.sort()
    assert all(tenth - first >= 60 for first, tenth in zip(stamps, stamps[10:], strict=False))


async def test_a_schedule_fires_on_one_node(nodes: Nodes) -> None:
    def made(number: int) -> Acceptance:
        request = new_request(number)
        return Acceptance(request, NewRun(request.key, VERSION, "waiting", 1, owned=False))

    fired: Counter[int] = Counter()
    for due_at in range(1, 40):
        answers = await asyncio.gather(
            *(
                store.fire("nightly", due_at, made(due_at * NODES + place))
                for place, store in enumerate(nodes)
            )
        )
        fired[sum(answers)] += 1
    assert fired == {1: 39}
    assert len(await claimed(nodes[0], 1, 100)) == 39


async def test_a_node_hears_of_messages_that_another_program_posts(nodes: Nodes) -> None:
    owner, other = nodes[:2]
    await accept(owner, moving(1))
    heard = asyncio.Event()
    owner.listen(heard.set)
    async with asyncio.timeout(10):
        await heard.wait()  # it listens
        heard.clear()
        await other.post(key(1), b"hello", 5)
        await heard.wait()
    assert [message.body for message in await owner.messages_after(0, 9)] == [b"hello"]
    assert await other.messages_after(0, 9) == []


@pytest.mark.parametrize("status", ["waiting", "completed"])
async def test_a_message_that_crosses_with_the_end_of_a_move_wakes_the_run(
    nodes: Nodes, status: str
) -> None:
    owner, other = nodes[:2]
    count = 150
    await accept(owner, *map(moving, range(count)))
    for number in range(count):
        let_go = RunChange(key(number), "waiting", None, owned=False)
        if status == "completed":
            let_go = RunChange(key(number), "completed", None, owned=False)
        await asyncio.gather(
            owner.commit(Batch(changes=[let_go])), other.post(key(number), b"hello", 7)
        )
    found = await nodes[2].claim(7, count + 1, crashes=0, max_bytes=ANY_SIZE)
    assert sorted(numbers(run.key for run in found.runs)) == list(range(count))
    assert all(len(run.messages) == 1 for run in found.runs)


async def test_silent_nodes_are_taken_over_once_and_lose_what_they_ask_later(url: str) -> None:
    others = [await node(url) for _ in range(2)]
    silent = await node(url, lease_ms=0)
    try:
        await accept(silent, *map(moving, range(50)))
        beats = await asyncio.gather(*(store.beat() for store in others for _ in range(5)))
        assert sum(beat.recovered for beat in beats) == 50
        assert (await others[0].beat()).has_suspects
        assert await claimed(others[0], crashes=0) == []
        assert len(await claimed(others[0], limit=60, crashes=1)) == 50
        assert not (await others[0].beat()).has_suspects
        for call in (
            silent.beat(),
            silent.commit(Batch(acceptances=[moving(99)])),
            silent.claim(0, 1, crashes=0, max_bytes=1),
        ):
            with pytest.raises(LeaseLost):
                await call
        assert await silent.join() == 0
        await accept(silent, moving(99))
    finally:
        for store in (silent, *others):
            await store.close()


async def test_a_node_that_hands_over_leaves_ready_runs_without_a_crash(nodes: Nodes) -> None:
    await accept(nodes[0], *map(moving, range(20)))
    assert await nodes[0].hand_over() == 20
    assert sorted(await claimed(nodes[1], 0)) == list(range(20))
    with pytest.raises(LeaseLost):
        await accept(nodes[0], moving(30))


async def test_a_beat_tells_the_time_of_the_database(nodes: Nodes) -> None:
    first, second = await nodes[0].beat(), await nodes[1].beat()
    assert first.now is not None
    assert second.now is not None
    assert first.now <= second.now
