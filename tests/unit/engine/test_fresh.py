"""Values of the store that may be a second old, and never older than a change made here."""

from __future__ import annotations

import asyncio

import pytest

from beltline.engine.fresh import MAX_AGE_MS, Fresh
from beltline.engine.ports import StoreFull
from tests.unit.api.stage import ManualClock


class Counting:
    """Gives 1, 2, 3, …; with `gate` a load waits."""

    def __init__(self) -> None:
        self.loads = 0
        self.gate: asyncio.Event | None = None

    async def load(self) -> int:
        """The next number."""
        self.loads += 1
        number = self.loads
        if self.gate is not None:
            await self.gate.wait()
        return number


async def test_a_value_is_kept_for_its_age_and_then_loaded_anew() -> None:
    clock, source = ManualClock(), Counting()
    fresh = Fresh(source.load, clock)
    assert [await fresh.get(), await fresh.get()] == [1, 1]
    clock.time += MAX_AGE_MS - 1
    assert await fresh.get() == 1
    clock.time += 1
    assert await fresh.get() == 2


async def test_while_one_loads_the_others_go_on_with_the_old_value() -> None:
    clock, source = ManualClock(), Counting()
    fresh = Fresh(source.load, clock)
    await fresh.get()
    clock.time += MAX_AGE_MS
    source.gate = asyncio.Event()
    loading = asyncio.ensure_future(fresh.get())
    await asyncio.sleep(0)
    assert await fresh.get() == 1
    source.gate.set()
    assert await loading == 2
    assert source.loads == 2


async def test_a_value_that_was_read_before_a_change_is_not_kept() -> None:
    clock, source = ManualClock(), Counting()
    fresh = Fresh(source.load, clock)
    source.gate = asyncio.Event()
    loading = asyncio.ensure_future(fresh.get())
    await asyncio.sleep(0)
    fresh.forget()
    source.gate.set()
    await loading
    assert await fresh.get() == 2


async def test_a_load_that_fails_is_tried_again_by_the_next_caller() -> None:
    clock, failures = ManualClock(), [StoreFull("no room")]

    async def load() -> str:
        if failures:
            raise failures.pop()
        return "loaded"

    fresh = Fresh(load, clock)
    with pytest.raises(StoreFull, match="no room"):
        await fresh.get()
    assert await fresh.get() == "loaded"
