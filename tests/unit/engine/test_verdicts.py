"""Verdicts are kept beside the work: soon, bounded, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from beltline.core.limits import TINY
from beltline.engine.ports import StoreAway
from beltline.engine.verdict_store import Verdict
from beltline.engine.verdicts import Verdicts
from beltline.loop import AsyncioBell
from tests.conformance.store_rows import key
from tests.unit.api.stage import ManualClock


class StoreOfTests:
    """Keeps what it is told to, when it is let."""

    def __init__(self) -> None:
        self.kept: list[list[Verdict]] = []
        self.purged: list[tuple[int, int, int]] = []
        self.old = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.trouble: Exception | None = None

    async def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        self.asked.set()
        await self.gate.wait()
        if self.trouble:
            raise self.trouble
        self.kept.append(list(verdicts))

    async def purge_verdicts(self, before: int, most: int, limit: int) -> int:
        self.purged.append((before, most, limit))
        gone = min(limit, self.old)
        self.old -= gone
        return gone


def verdict(number: int, body: bytes | None = None) -> Verdict:
    return Verdict(
        key(number),
        "form",
        "refused",
        401,
        "unverified-sender",
        "",
        None,
        b"{}",
        None,
        "",
        "",
        body,
    )


def keeper(store: Any, clock: ManualClock, told: list[str]) -> Verdicts:
    return Verdicts(
        store,
        clock,
        AsyncioBell(clock),
        lambda event, run, reason: told.append(reason),
        msgspec.structs.replace(TINY, verdicts_per_second=2_000),
    )


async def test_what_is_noted_while_the_store_is_busy_is_kept_together() -> None:
    store = StoreOfTests()
    verdicts = keeper(store, ManualClock(), [])
    store.gate.clear()
    running = asyncio.create_task(verdicts.run())
    verdicts.note(verdict(1))
    await store.asked.wait()
    verdicts.note(verdict(2))
    verdicts.note(verdict(3))
    verdicts.stop()
    store.gate.set()
    await running
    assert store.kept == [[verdict(1)], [verdict(2), verdict(3)]]


async def test_what_waits_is_bounded_in_number_and_in_bytes() -> None:
    store = StoreOfTests()
    verdicts = keeper(store, ManualClock(), [])
    for number in range(1_000):
        assert verdicts.take_slot("form")
        verdicts.note(verdict(number))
    assert not verdicts.take_slot("form")
    await verdicts.keep()
    verdicts.note(verdict(1, b"x" * 16_777_216))
    assert not verdicts.take_slot("form")
    assert verdicts.not_kept == 2
    await verdicts.keep()
    assert verdicts.take_slot("form")


async def test_what_cannot_be_stored_is_told_and_does_not_pile_up() -> None:
    store, told = StoreOfTests(), list[str]()
    store.trouble = StoreAway("the database is away")
    verdicts = keeper(store, ManualClock(), told)
    verdicts.note(verdict(1))
    await verdicts.keep()
    store.trouble = None
    verdicts.note(verdict(2))
    await verdicts.keep()
    assert told == ["the database is away"]
    assert (store.kept, verdicts.not_kept) == ([[verdict(2)]], 1)


async def test_old_ones_are_removed_once_a_minute() -> None:
    store, clock = StoreOfTests(), ManualClock()
    verdicts = keeper(store, clock, [])
    running = asyncio.create_task(verdicts.run())

    async def note(number: int) -> None:
        store.asked.clear()
        verdicts.note(verdict(number))
        await store.asked.wait()

    store.old = 2 * TINY.batch
    await note(1)
    await note(2)
    await note(3)
    first = clock.now() - TINY.verdict_ms
    assert store.purged == [(first, TINY.verdicts_kept, TINY.batch)] * 3
    clock.time += 60_000
    await note(4)
    verdicts.stop()
    await running
    assert store.purged[3:] == [(first + 60_000, TINY.verdicts_kept, TINY.batch)]
