"""What modules remember is in the store when `put` returns, and gone when its time is over."""

from __future__ import annotations

from random import Random

from beltline.engine.memory import StoredMemory
from tests.simulation.disk import Disk
from tests.simulation.folder_store import asyncio_store
from tests.simulation.ports import SimulatedClock
from tests.simulation.scheduler import Scheduler


def memory(disk: Disk) -> tuple[StoredMemory, SimulatedClock]:
    clock = SimulatedClock(Scheduler(Random(0)))
    return StoredMemory(asyncio_store(disk), clock), clock


async def test_a_value_is_there_for_everyone_who_opens_the_store() -> None:
    disk = Disk()
    await memory(disk)[0].put("leads", "a", {"n": [1, None]})
    assert await memory(disk)[0].get("leads", "a") == {"n": [1, None]}
    assert await memory(disk)[0].get("deals", "a") is None


async def test_a_value_lives_as_long_as_was_said() -> None:
    remembered, clock = memory(Disk())
    await remembered.put("leads", "a", 1, ttl_s=1.5)
    clock.ahead_ms = 1_499
    assert await remembered.get("leads", "a") == 1
    clock.ahead_ms = 1_500
    assert await remembered.get("leads", "a") is None
    assert not await remembered.delete("leads", "a")


async def test_forgetting_tells_whether_there_was_a_value() -> None:
    remembered, _ = memory(Disk())
    await remembered.put("leads", "a", None)
    assert await remembered.delete("leads", "a")
    assert not await remembered.delete("leads", "a")
