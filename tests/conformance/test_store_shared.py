"""What every store promises of windows that count, schedules that fire once, and memberships."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from beltline.engine.ports import NotFound, Store
from beltline.engine.records import Acceptance, JournalRow, NewRun
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import (
    VERSION,
    accept,
    change,
    claimed,
    held,
    held_counts,
    key,
    moving,
    new_request,
    ready,
)

HOUR_MS = 3_600_000


# Windows


async def test_a_window_grants_so_many_uses_and_no_more(store: Store, reopen: Reopen) -> None:
    first = await store.allow("portal", 3, 5, HOUR_MS)
    assert (first.granted, first.next_at) == (3, first.at)
    second = await store.allow("portal", 4, 5, HOUR_MS)
    assert (second.granted, second.next_at) == (2, first.at + HOUR_MS)
    store = await reopen(store)
    third = await store.allow("portal", 1, 5, HOUR_MS)
    assert (third.granted, third.next_at) == (0, first.at + HOUR_MS)
    assert third.at >= second.at >= first.at
    assert (await store.allow("another", 1, 5, HOUR_MS)).granted == 1


async def test_a_window_of_nothing_grants_nothing(store: Store) -> None:
    found = await store.allow("closed", 1, 0, HOUR_MS)
    assert (found.granted, found.next_at) == (0, found.at + HOUR_MS)
    assert (await store.allow("open", 0, 5, HOUR_MS)).granted == 0


async def test_no_window_ever_holds_more_than_is_allowed(store: Store) -> None:
    stamps: list[int] = []

    async def use() -> None:
        while len(stamps) < 60:
            found = await store.allow("burst", 3, 10, 40)
            stamps.extend([found.at] * found.granted)

    async with asyncio.timeout(30):
        await asyncio.gather(use(), use(), use())
    stamps.sort()
    assert all(tenth - first >= 40 for first, tenth in zip(stamps, stamps[10:], strict=False))
    assert any(later - at < 40 for at, later in pairwise(stamps))


# Schedules


def due(number: int, at: int = 500) -> Acceptance:
    """What a schedule makes."""
    request = new_request(number, source="nightly")
    return Acceptance(request, NewRun(request.key, VERSION, "waiting", at, owned=False))


async def test_a_schedule_fires_once_for_each_time(store: Store, reopen: Reopen) -> None:
    assert await store.fired_at("nightly") is None
    assert await store.fire("nightly", 100, due(1))
    assert not await store.fire("nightly", 100, due(2))
    assert not await store.fire("nightly", 99, due(3))
    assert await store.fire("nightly", 101, due(4))
    assert await store.fire("hourly", 100, due(5))
    store = await reopen(store)
    assert (await store.fired_at("nightly"), await store.fired_at("hourly")) == (101, 100)
    await store.join()
    assert sorted(await claimed(store, 500)) == [1, 4, 5]
    for number in (2, 3):
        with pytest.raises(NotFound):
            await store.run(key(number))


async def test_a_schedule_may_make_a_request_that_is_held(store: Store) -> None:
    assert await store.fire("nightly", 1, held(1, "nightly"))
    assert await held_counts(store, "nightly") == {"nightly": 1}


async def test_what_no_schedule_can_make_is_refused(store: Store) -> None:
    identified = new_request(2, identity="a", identity_until=9)
    for acceptance in (
        moving(1),
        Acceptance(identified, NewRun(identified.key, VERSION, "waiting", 1, owned=False)),
        Acceptance(due(3).request, due(3).run, [JournalRow(key(3), 0, b"started")]),
    ):
        with pytest.raises(ValueError, match="schedule"):
            await store.fire("nightly", 1, acceptance)
    assert await store.fired_at("nightly") is None


async def test_callers_at_the_same_time_fire_once(store: Store) -> None:
    fired = await asyncio.gather(*(store.fire("nightly", 7, due(n)) for n in range(1, 9)))
    assert sum(fired) == 1
    assert len(await claimed(store, 500)) == 1


# Memberships


async def test_joining_lets_go_of_what_this_store_moved_before(store: Store) -> None:
    await accept(store, moving(1), ready(2, 5), ready(3, 900))
    await claimed(store, 5)
    assert await store.join() == 2
    assert await store.join() == 0
    assert sorted(await claimed(store, crashes=1)) == [1, 2]
    await accept(store, moving(4))


async def test_a_beat_leaves_alone_what_this_store_moves(store: Store) -> None:
    await accept(store, moving(1))
    beat = await store.beat()
    assert (beat.recovered, beat.has_suspects) == (0, False)
    assert (await store.run(key(1)))[0].owned
    await change(store, 1, "completed")


async def test_messages_are_those_of_runs_that_this_store_moves(store: Store) -> None:
    await accept(store, moving(1), ready(2, 900))
    own = await store.post(key(1), b"own", 5)
    await store.post(key(2), b"of nobody", 901)
    assert [message.id for message in await store.messages_after(0, 9)] == [own]
    assert await claimed(store, 900) == [2]
    assert len(await store.messages_after(0, 9)) == 2


async def test_tending_a_store_changes_nothing_that_is_seen(store: Store) -> None:
    await accept(store, moving(1), held(2))
    before = await store.counts()
    await store.tend()
    assert await store.counts() == before
