"""A small buffer is counted each time it is asked for, a large one now and then."""

from __future__ import annotations

import asyncio

import pytest

from beltline.engine.held_counts import EACH_TIME, HeldCounts
from beltline.engine.ports import StoreAway
from beltline.engine.records import HeldCount
from beltline.loop import AsyncioBell
from tests.simulation.disk import Disk
from tests.simulation.store import Moment, SimulatedStore
from tests.unit.api.stage import ManualClock

OLDEST = bytes(16)


class CountedStore(SimulatedStore):
    """A store of which it is known what it holds, and how often it was asked."""

    def __init__(self, number: int) -> None:
        super().__init__(Disk(), _at_once)
        self.number = number
        self.asked = 0
        self.asked_again = asyncio.Event()
        self.is_away = False

    async def held(self, source: str | None) -> dict[str, HeldCount]:
        self.asked += 1
        if self.asked > 1:
            self.asked_again.set()
        if self.is_away:
            raise StoreAway("nobody answers")
        return {"form": HeldCount(self.number, OLDEST)}


async def _at_once(_: Moment) -> None:
    """Nothing takes any time."""


async def test_a_small_buffer_is_told_to_the_last_request() -> None:
    store = CountedStore(EACH_TIME)
    counts = HeldCounts(store, ManualClock())
    assert await counts.of("form") == EACH_TIME
    store.number = 3
    assert await counts.of("form") == 3
    assert await counts.of("other") == 0


async def test_a_large_one_is_counted_now_and_then_and_what_goes_is_taken_off() -> None:
    store, clock = CountedStore(1_000_000), ManualClock()
    counts = HeldCounts(store, clock)
    assert await counts.of("form") == 1_000_000
    counts.gone("form", 5)
    counts.gone("other", 5)
    clock.time += 9_000
    assert (await counts.all())["form"] == HeldCount(999_995, OLDEST)
    assert store.asked == 1
    clock.time += 2_000
    assert await counts.of("form") == 1_000_000
    assert store.asked == 2


async def test_a_large_one_is_counted_beside_the_way() -> None:
    store, clock = CountedStore(1_000_000), ManualClock()
    counts = HeldCounts(store, clock, AsyncioBell(clock))
    counting = asyncio.create_task(counts.run())
    try:
        assert await counts.of("form") == 1_000_000
        store.number = 900_000
        clock.time += 11_000
        assert await counts.of("form") == 1_000_000
        await store.asked_again.wait()
        assert await counts.of("form") == 900_000
        store.asked_again.clear()
        store.is_away = True
        clock.time += 11_000
        assert await counts.of("form") == 900_000
        await store.asked_again.wait()
        assert await counts.of("form") == 900_000
        assert not counting.done()
    finally:
        counting.cancel()


@pytest.mark.parametrize("gone", [EACH_TIME + 1, 10**9])
async def test_no_count_falls_below_none(gone: int) -> None:
    counts = HeldCounts(CountedStore(EACH_TIME + 1), ManualClock())
    assert await counts.of("form") == EACH_TIME + 1
    counts.gone("form", gone)
    assert await counts.of("form") == 0
