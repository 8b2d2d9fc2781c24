"""What every store promises of buckets: how many calls may go, and what was held and spent."""

from __future__ import annotations

import asyncio
import math

import pytest

from beltline.engine.limit_store import Ask, Rule
from beltline.engine.ports import Store
from tests.conformance.conftest import Nodes, Reopen
from tests.conformance.store_kinds import OpenNode

SLOW = Rule("slow", rate_per_s=0.001, burst=5)
FAST = Rule("fast", rate_per_s=500.0, burst=4)
AT_A_TIME = Rule("narrow", concurrency=2)


async def test_a_new_bucket_is_empty_and_tells_how_long_to_wait(store: Store) -> None:
    drawn = await store.draw(SLOW, Ask(1, 0, 0, 0, (1, 1)))
    assert drawn.granted == 0
    assert drawn.wait_ms is not None
    assert 900_000 < drawn.wait_ms <= 1_000_000
    assert drawn.left < 0.1


async def test_a_bucket_fills_up_to_its_burst(store: Store) -> None:
    await store.draw(FAST, Ask(1, 0, 0, 0))
    await asyncio.sleep(0.02)  # the stores have clocks of their own
    drawn = await store.draw(FAST, Ask(2, 0, 0, 0, (1,) * 10))
    assert (drawn.granted, drawn.left) == (4, 4.0)


async def test_what_is_held_is_not_filled_up_again_before_it_is_spent(store: Store) -> None:
    await store.draw(FAST, Ask(1, 0, 0, 0))
    await asyncio.sleep(0.02)
    assert (await store.draw(FAST, Ask(2, 0, 0, 0, (1,) * 10))).granted == 4
    await asyncio.sleep(0.02)
    full = await store.draw(FAST, Ask(3, 4, 4, 0, (1,)))
    assert (full.granted, full.wait_ms) == (0, None)  # nobody knows whether they have arrived yet
    spent = await store.draw(FAST, Ask(4, 0, 0, 4, (1,) * 10))
    assert spent.granted < 4
    await asyncio.sleep(0.02)
    assert (await store.draw(FAST, Ask(5, 0, 0, 4, (1,) * 10))).granted == 4


async def test_a_call_takes_as_many_tokens_as_it_may_make_requests(store: Store) -> None:
    await store.draw(FAST, Ask(1, 0, 0, 0))
    await asyncio.sleep(0.02)
    assert (await store.draw(FAST, Ask(2, 0, 0, 0, (2, 2, 1)))).granted == 2
    # The dear one is not passed by a cheap one, and one above the burst takes all of it.
    assert (await store.draw(FAST, Ask(3, 1, 1, 0, (4, 1)))).granted == 0
    assert (await store.draw(FAST, Ask(4, 0, 0, 0, (9,)))).granted == 1


async def test_so_many_at_a_time_and_no_more(store: Store) -> None:
    first = await store.draw(AT_A_TIME, Ask(1, 0, 0, 0, (1, 1, 1)))
    assert (first.granted, first.wait_ms) == (2, None)
    assert (await store.draw(AT_A_TIME, Ask(2, 2, 2, 0, (1,)))).granted == 0
    assert (await store.draw(AT_A_TIME, Ask(3, 1, 1, 1, (1, 1)))).granted == 1


async def test_a_question_that_comes_late_changes_nothing(nodes: Nodes) -> None:
    assert (await nodes[0].draw(AT_A_TIME, Ask(5, 0, 0, 0, (1,)))).granted == 1
    assert (await nodes[0].draw(AT_A_TIME, Ask(4, 0, 0, 0, (1,)))).granted == 0
    assert (await nodes[1].draw(AT_A_TIME, Ask(1, 0, 0, 0, (1, 1)))).granted == 1


async def test_what_was_granted_and_not_heard_of_is_free_again(store: Store) -> None:
    await store.draw(AT_A_TIME, Ask(1, 0, 0, 0, (1, 1)))
    assert (await store.draw(AT_A_TIME, Ask(2, 0, 0, 0, (1, 1)))).granted == 2


async def test_nodes_draw_from_one_bucket(nodes: Nodes) -> None:
    await nodes[0].draw(FAST, Ask(1, 0, 0, 0))
    await asyncio.sleep(0.02)
    drawn = await asyncio.gather(*(node.draw(FAST, Ask(2, 0, 0, 0, (1, 1))) for node in nodes))
    assert sorted(one.granted for one in drawn) == [0, 0, 2, 2]


async def test_what_a_node_held_when_it_ended_is_spent(open_node: OpenNode) -> None:
    leaving, staying = await open_node(600_000), await open_node(600_000)
    rule = Rule("ending", rate_per_s=50.0, burst=4, concurrency=4)
    await leaving.draw(rule, Ask(1, 0, 0, 0))
    await asyncio.sleep(0.1)
    assert (await leaving.draw(rule, Ask(2, 0, 0, 0, (1,) * 4))).granted == 4
    await asyncio.sleep(0.1)
    assert (await staying.draw(rule, Ask(1, 0, 0, 0, (1,)))).granted == 0
    await leaving.hand_over()
    ended = await staying.draw(rule, Ask(2, 0, 0, 0, (1,)))
    assert ended.granted == 0
    assert ended.wait_ms is not None, "it was not spent: nothing fills the bucket"
    assert (await leaving.draw(rule, Ask(3, 0, 0, 0, (1,)))).granted == 0


@pytest.mark.parametrize("held", [0, 3])
async def test_a_store_that_was_opened_again_has_no_burst_to_give(
    store: Store, reopen: Reopen, held: int
) -> None:
    rule = Rule("again", rate_per_s=0.001, burst=50)
    await store.draw(rule, Ask(1, held, held, 0))
    store = await reopen(store)
    await store.join()
    drawn = await store.draw(rule, Ask(1, 0, 0, 0, (1,)))
    assert drawn.granted == 0


async def test_under_load_no_window_sees_more_than_the_burst_and_the_rate(store: Store) -> None:
    rule = Rule("load", rate_per_s=400.0, burst=20, concurrency=15)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    seen: list[float] = []
    held = spent = serial = 0
    while loop.time() < begun + 0.4:
        serial += 1
        drawn = await store.draw(rule, Ask(serial, held, held, spent, (1,) * 50))
        held += drawn.granted
        seen += [loop.time()] * drawn.granted
        await asyncio.sleep(0.003)
        spent, held = spent + held, 0
    assert len(seen) > 40
    for first, start in enumerate(seen):
        for last in range(first, len(seen)):
            allowed = rule.burst + 400.0 * (seen[last] - start + 0.002)  # they count milliseconds
            assert last - first + 1 <= math.floor(allowed)
