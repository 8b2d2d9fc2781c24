"""What every store that several nodes share promises: nothing is claimed, accepted, counted or
fired twice, and a node that was silent for too long changes nothing any more.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from beltline.core.run import Status
from beltline.engine.ports import LeaseLost, Store
from beltline.engine.records import Acceptance, Batch, JournalRow, NewRun, Repeat, RunChange
from tests.conformance.conftest import LEASE_MS, Nodes
from tests.conformance.differential import all_runs, everything
from tests.conformance.store_kinds import SIMULATED, OpenNode
from tests.conformance.store_rows import (
    ANY_SIZE,
    VERSION,
    accept,
    claimed,
    held,
    key,
    moving,
    new_request,
    numbers,
    ready,
    started,
)

OVER_MS = 1  # a lease that has run out when the next call comes, or the one after


async def test_two_nodes_never_claim_one_run(nodes: Nodes) -> None:
    await accept(nodes[0], *(ready(number, number % 7) for number in range(400)))

    async def claim_on(store: Store) -> list[int]:
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

    told = await asyncio.gather(*map(submit, range(len(nodes))))
    holders: dict[str, set[bytes]] = {}
    for each, answers in (pair for own in told for pair in own):
        for acceptance, repeat in zip(each.acceptances, answers, strict=True):
            holder = acceptance.request.key if repeat is None else repeat.key
            holders.setdefault(acceptance.request.identity or "", set()).add(holder)
            assert repeat is None or repeat.same_body
    assert all(len(keys) == 1 for keys in holders.values())
    assert (await nodes[0].counts())["owned"] == len(holders)


async def test_an_identity_is_free_again_for_all_nodes_at_the_same_time(nodes: Nodes) -> None:
    def leads(turn: int, accepted_at: int, *, first: int) -> list[Batch]:
        requests = [
            new_request(
                100 * turn + first + place,
                accepted_at=accepted_at,
                identity="lead",
                identity_until=accepted_at + 10,
            )
            for place in range(len(nodes))
        ]
        return [Batch([started(request)]) for request in requests]

    holder = key(1)
    await accept(nodes[0], started(new_request(1, identity="lead", identity_until=1_010)))
    for turn in range(1, 30):
        free_at = 1_000 + 10 * turn
        for accepted_at, first, winners in ((free_at - 1, 0, 0), (free_at, 50, 1)):
            batches = leads(turn, accepted_at, first=first)
            told = await asyncio.gather(
                *(node.commit(each) for node, each in zip(nodes, batches, strict=True))
            )
            won = [
                each.acceptances[0].request.key
                for each, answer in zip(batches, told, strict=True)
                if answer == [None]
            ]
            assert len(won) == winners
            holder = (won or [holder])[0]
            assert {repeat.key for (repeat,) in told if repeat} == {holder}


async def test_one_of_all_nodes_is_the_first_to_leave_a_value(nodes: Nodes) -> None:
    async def put(number: int) -> bytes:
        store = nodes[number % len(nodes)]
        return await store.put_value_if_absent("seen", "a", b"%d" % number, 10**15, 0)

    answers = await asyncio.gather(*map(put, range(100)))
    assert len(set(answers)) == 1
    assert await nodes[0].value("seen", "a", 0) == answers[0]


async def test_a_window_counts_the_uses_of_all_nodes(nodes: Nodes) -> None:
    stamps: list[int] = []

    async def use(store: Store) -> None:
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
                store.fire("nightly", due_at, made(due_at * len(nodes) + place))
                for place, store in enumerate(nodes)
            )
        )
        fired[sum(answers)] += 1
    assert fired == {1: 39}
    assert len(await claimed(nodes[0], 1, 100)) == 39


async def test_a_node_hears_of_messages_that_another_program_posts(
    nodes: Nodes, node_kind: str
) -> None:
    if node_kind == SIMULATED:
        pytest.skip("the simulation wakes nobody, so that every look happens by the clock")
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
    nodes: Nodes, status: Status
) -> None:
    owner, other = nodes[:2]
    count = 150
    await accept(owner, *map(moving, range(count)))
    for number in range(count):
        let_go = RunChange(key(number), status, None, owned=False)
        await asyncio.gather(
            owner.commit(Batch(changes=[let_go])), other.post(key(number), b"hello", 7)
        )
    found = await nodes[2].claim(7, count + 1, crashes=0, max_bytes=ANY_SIZE)
    assert sorted(numbers(run.key for run in found.runs)) == list(range(count))
    assert all(len(run.messages) == 1 for run in found.runs)


async def test_messages_of_all_nodes_for_a_run_that_has_ended_bring_it_back_once(
    nodes: Nodes,
) -> None:
    for number in range(60):
        await accept(nodes[0], moving(number))
        await nodes[0].commit(Batch(changes=[RunChange(key(number), "completed", None, False)]))
        taking = asyncio.create_task(nodes[1].claim_one(key(number)))
        ids = await asyncio.gather(*(store.post(key(number), b"hello", 7) for store in nodes * 2))
        assert len(set(ids)) == 2 * len(nodes)
        assert await taking is not None
        _, run = await nodes[2].run(key(number))
        assert run is not None
        assert [message.id for message in run.messages] == sorted(ids)


async def recovered(*lookers: Store, runs: int) -> None:
    """Has the nodes beat until the runs of the silent are let go of, once."""
    found = 0
    async with asyncio.timeout(20):
        while found < runs:
            beats = await asyncio.gather(*(store.beat() for store in lookers for _ in range(5)))
            found += sum(beat.recovered for beat in beats)
    assert found == runs


async def test_silent_nodes_are_taken_over_once_and_lose_what_they_ask_later(
    open_node: OpenNode,
) -> None:
    others = [await open_node(LEASE_MS) for _ in range(2)]
    silent = await open_node(OVER_MS)
    await accept(silent, *map(moving, range(50)))
    await recovered(*others, runs=50)
    assert (await others[0].beat()).has_suspects
    assert await claimed(others[0], crashes=0) == []
    assert len(await claimed(others[0], limit=60, crashes=1)) == 50
    assert not (await others[0].beat()).has_suspects
    await accept(others[0], ready(60), held(61))
    seen = [await all_runs(others[0]), await everything(others[0])]
    for call in (
        silent.beat(),
        silent.commit(
            Batch(
                acceptances=[moving(99), held(98)],
                journal=[JournalRow(key(1), 1, b"late")],
                changes=[RunChange(key(1), "completed", None, owned=False)],
            )
        ),
        silent.claim(0, 1, crashes=0, max_bytes=1),
        silent.claim_one(key(60)),
    ):
        with pytest.raises(LeaseLost):
            await call
    assert [await all_runs(others[0]), await everything(others[0])] == seen
    assert await silent.join() == 0
    await accept(silent, moving(99))


async def test_every_takeover_counts_a_crash(open_node: OpenNode) -> None:
    looker = await open_node(LEASE_MS)
    for crashes in range(3):
        silent = await open_node(OVER_MS)
        if crashes == 0:
            await accept(silent, moving(1))
        else:
            assert await claimed(silent, crashes=crashes) == [1]
        await recovered(looker, runs=1)
    assert (await looker.run(key(1)))[0].crashes == 3


async def test_a_message_that_crosses_with_a_takeover_comes_with_the_run(
    open_node: OpenNode,
) -> None:
    looker, other = [await open_node(LEASE_MS) for _ in range(2)]
    for number in range(30):
        silent = await open_node(OVER_MS)
        await accept(silent, moving(number))
        await asyncio.gather(recovered(looker, runs=1), other.post(key(number), b"hello", 900))
        (run,) = (await looker.claim(0, 9, crashes=1, max_bytes=ANY_SIZE)).runs
        assert [message.body for message in run.messages] == [b"hello"]


async def test_a_node_that_hands_over_leaves_ready_runs_without_a_crash(nodes: Nodes) -> None:
    await accept(nodes[0], *map(moving, range(20)))
    assert await nodes[0].hand_over() == 20
    assert sorted(await claimed(nodes[1], 0)) == list(range(20))
    with pytest.raises(LeaseLost):
        await accept(nodes[0], moving(30))


async def test_a_node_that_begins_anew_is_told_of_its_own_runs_alone(nodes: Nodes) -> None:
    await accept(nodes[0], moving(1))
    await accept(nodes[1], moving(2))
    assert await nodes[0].join() == 1
    assert (await nodes[1].run(key(2)))[0].owned
    await accept(nodes[1], moving(3))


async def test_a_beat_tells_the_time_of_the_store(nodes: Nodes) -> None:
    first, second = await nodes[0].beat(), await nodes[1].beat()
    assert first.now is not None
    assert second.now is not None
    assert first.now <= second.now
