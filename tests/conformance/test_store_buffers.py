"""What every store promises of buffers: who goes next, how many, and who waits for whom."""

from __future__ import annotations

import pytest

from beltline.core.run import Status
from beltline.engine.ports import Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    Collection,
    Due,
    HeldCount,
    HeldFilter,
    HeldRequest,
    JournalRow,
    NewRun,
    ReleaseOrder,
    RunChange,
    StoredRequest,
    Window,
)
from tests.conformance.store_rows import (
    VERSION,
    accept,
    change,
    claim,
    claimed,
    held,
    held_counts,
    key,
    new_request,
    numbers,
    ready,
    release,
    started,
)

VERSIONS = {"deal-intake": VERSION}
HOUR_MS = 3_600_000
ALL = HeldFilter("site-form")


async def waiting(store: Store, filter: HeldFilter = ALL) -> list[int]:
    return numbers(one.key for one in await store.waiting(filter, 100))


async def behind(store: Store) -> dict[int, int | None]:
    """Whom each held request waits for."""
    found = await store.waiting(ALL, 100)
    return {
        numbers([one.key])[0]: None if one.behind is None else numbers([one.behind])[0]
        for one in found
    }


async def end(store: Store, *which: int, status: Status = "completed") -> None:
    """These runs, which this node owns, end or stop."""
    changes = [RunChange(key(number), status, None, owned=False) for number in which]
    await store.commit(Batch(changes=changes))


# The order


async def test_the_least_place_goes_first_and_of_one_place_the_oldest(store: Store) -> None:
    await accept(
        store, held(1, place=5), held(2, place=3), held(3, place=5), held(4, place=-7), held(5)
    )
    assert await waiting(store) == [4, 5, 2, 1, 3]
    for expected in ([4, 5], [2, 1], [3]):
        assert await release(store, 2) == len(expected)
        assert sorted(await claimed(store)) == sorted(expected)


async def test_requests_go_through_the_version_of_their_own_process(store: Store) -> None:
    await accept(store, held(1, process="a"), held(2, process="b"), held(3, process="c"))
    order = ReleaseOrder("site-form", {"a": 11, "b": 22}, 9)
    assert (await store.release(order, 5)).number == 2
    found = await claim(store, 5, 9)
    assert [(numbers([run.key])[0], run.version_id) for run in found] == [(1, 11), (2, 22)]
    assert await waiting(store) == [3]


async def test_nothing_leaves_a_buffer_that_a_person_has_paused(store: Store) -> None:
    await accept(store, held(1))
    await store.set_source_state("site-form", "paused")
    assert await release(store, 9) == 0
    await store.set_source_state("site-form", "released")
    assert await release(store, 9) == 1


async def test_people_put_requests_first_or_last_in_their_order(store: Store) -> None:
    await accept(store, *(held(number, place=number) for number in range(1, 6)))
    await accept(store, held(9, "other"))
    assert await store.put_first([key(4), key(3), key(77)], first=True) == 2
    assert await waiting(store) == [3, 4, 1, 2, 5]
    assert await store.put_first([key(3), key(1)], first=False) == 2
    assert await waiting(store) == [4, 2, 5, 3, 1]
    assert await store.put_first([], first=True) == 0


# Lines


async def test_of_a_line_one_goes_after_the_other(store: Store) -> None:
    await accept(store, *(held(number, line="deal 7") for number in (1, 2, 3)), held(4))
    assert await behind(store) == {1: None, 2: 1, 3: 1, 4: None}
    assert await release(store, 9) == 2
    assert await claimed(store) == [1, 4]
    assert await release(store, 9) == 0
    await accept(store, held(5, line="deal 7"))
    assert await behind(store) == {2: 1, 3: 1, 5: 1}
    await end(store, 1)
    assert await behind(store) == {2: None, 3: 2, 5: 2}
    assert await release(store, 9) == 1
    assert await claimed(store) == [2]
    await end(store, 2, status="cancelled")
    assert await release(store, 9) == 1
    await claimed(store)
    await end(store, 3)
    assert await release(store, 9) == 1
    await claimed(store)
    await end(store, 5)
    await accept(store, held(6, line="deal 7"))
    assert await behind(store) == {6: None}


async def test_lines_are_of_one_source_and_hold_any_character(store: Store) -> None:
    odd = "a\0bЯ'"
    await accept(store, held(1, line=odd), held(2, "calls", line=odd), held(3, line=odd + " "))
    assert await behind(store) == {1: None, 3: None}
    found = await store.waiting(HeldFilter("site-form", line=odd), 9)
    assert [(one.key, one.line) for one in found] == [(key(1), odd)]


async def test_the_last_that_waits_in_any_line_is_told(store: Store) -> None:
    assert await store.last_in_line() is None
    await accept(store, held(1, line="a"), held(3, "calls", line="b"), held(2, line="a"), held(9))
    assert await store.last_in_line() == key(3)
    assert await release(store, 9, source="calls") == 1
    assert await store.last_in_line() == key(2)


async def test_a_stopped_run_holds_its_line_unless_it_is_passed(store: Store) -> None:
    await accept(store, held(1, line="a"), held(2, line="a"))
    await accept(store, *(held(number, line="b", passes_stopped=True) for number in (3, 4)))
    assert await release(store, 9) == 2
    await claimed(store)
    await end(store, 1, 3, status="stopped")
    assert await behind(store) == {2: 1, 4: None}
    await change(store, 1, "completed") if await _take(store, 1) else None
    assert await behind(store) == {2: None, 4: None}


async def _take(store: Store, number: int) -> bool:
    return await store.claim_one(key(number)) is not None


async def test_a_run_that_is_let_go_of_holds_its_line(store: Store) -> None:
    await accept(store, held(1, line="a"), held(2, line="a"))
    await release(store, 9)
    await claimed(store)
    await change(store, 1, "waiting", 10**15)
    assert await behind(store) == {2: 1}
    assert await _take(store, 1)
    await store.commit(Batch(changes=[RunChange(key(1), "cancelled", None, owned=True)]))
    assert await behind(store) == {2: 1}  # calls are out still
    await end(store, 1, status="cancelled")
    assert await behind(store) == {2: None}


async def test_one_batch_may_end_and_begin_lines(store: Store) -> None:
    await accept(store, held(1, line="a"))
    await release(store, 9)
    await claimed(store)
    repeat = started(new_request(8, identity="x", identity_until=9_000))
    await accept(store, repeat)
    refused = held(3, line="c", identity="x", identity_until=9_000)
    answers = await store.commit(
        Batch(
            acceptances=[held(2, line="a"), refused, held(4, line="c"), held(5, line="c")],
            changes=[RunChange(key(1), "completed", None, owned=False)],
        )
    )
    assert [answer is None for answer in answers] == [True, False, True, True]
    assert await behind(store) == {2: None, 4: None, 5: 4}


# How many


async def test_a_window_counts_what_goes_and_tells_when_there_is_room(store: Store) -> None:
    await accept(store, *(held(number) for number in range(9)))
    window = Window("release site-form", 4, HOUR_MS)
    order = ReleaseOrder("site-form", VERSIONS, 3, window)
    first = await store.release(order, 5)
    second = await store.release(order, 5)
    third = await store.release(order, 5)
    assert [one.number for one in (first, second, third)] == [3, 1, 0]
    assert first.wait_ms == 0
    assert second.wait_ms is not None
    assert third.wait_ms is not None
    assert HOUR_MS - 60_000 < third.wait_ms <= second.wait_ms <= HOUR_MS
    assert await held_counts(store) == {"site-form": 5}
    # It is the very window that others may count in.
    assert (await store.allow("release site-form", 1, 4, HOUR_MS)).granted == 0


async def test_a_window_counts_only_what_went(store: Store) -> None:
    await accept(store, held(1))
    window = Window("release site-form", 4, HOUR_MS)
    assert await release(store, 9, window=window) == 1
    assert await release(store, 9, window=window) == 0
    assert (await store.allow("release site-form", 9, 4, HOUR_MS)).granted == 3


async def test_a_window_that_has_passed_has_room_again(store: Store) -> None:
    await accept(store, *(held(number) for number in range(3)))
    window = Window("release site-form", 1, 1)
    went = 0
    while went < 3:  # its length is one millisecond of the store's clock
        went += await release(store, 9, window=window)
    assert await held_counts(store) == {}


async def test_a_due_time_lets_so_many_go_of_those_that_came_before_it(store: Store) -> None:
    await accept(store, *(held(number) for number in (1, 2, 3, 50)))
    due = Due(at=10, at_most=2)
    assert await release(store, 1, due=due) == 1
    assert await release(store, 9, due=due) == 1
    assert await release(store, 9, due=due) == 0
    assert await release(store, 9, due=Due(at=9, at_most=2)) == 0  # it is over
    assert await release(store, 9, due=Due(at=20, at_most=None)) == 1
    assert await waiting(store) == [50]
    assert await release(store, 9, due=Due(at=51, at_most=None)) == 1


# By people


async def test_these_may_go_whatever_their_line_and_place(store: Store) -> None:
    await accept(store, held(1, line="a"), held(2, line="a"), held(3), held(4, process="b"))
    keys = [key(number) for number in (2, 4, 77)]
    assert await store.let_go(keys, VERSIONS, 6, None) == 1
    assert await claimed(store, 6) == [2]
    await end(store, 2)  # not the head: nothing moves on
    assert await behind(store) == {1: None, 3: None, 4: None}
    assert await store.let_go([], VERSIONS, 6, None) == 0


async def test_what_goes_may_take_a_message_along(store: Store) -> None:
    await accept(store, held(1), held(2))
    assert await store.let_go([key(1), key(2)], VERSIONS, 6, b"hello") == 2
    runs = await claim(store, 6, 9)
    assert [[message.body for message in run.messages] for run in runs] == [[b"hello"]] * 2


async def test_what_waits_is_listed_by_filters_and_pages(store: Store) -> None:
    await accept(
        store,
        held(1, line="a", place=9, expires_at=70),
        held(2, line="a", place=8),
        held(3, place=8, process="b"),
        held(4, "other"),
    )
    first, *rest = await store.waiting(ALL, 9)
    assert first == HeldRequest(
        key(2), "site-form", "deal-intake", "a", 8, expires_at=None, behind=key(1)
    )
    assert await store.waiting(ALL, 1, after=(8, key(2))) == rest[:1]
    assert await store.waiting(ALL, 9, after=(8, key(3))) == rest[1:]
    assert await waiting(store, HeldFilter("site-form", process="b")) == [3]
    assert await waiting(store, HeldFilter("site-form", line="a")) == [2, 1]
    assert await waiting(store, HeldFilter("site-form", keys=(key(1), key(4)))) == [1]
    assert await waiting(store, HeldFilter("site-form", keys=())) == []
    assert await waiting(store, HeldFilter("site-form", since=2, until=3)) == [2]
    assert await store.held("site-form") == {"site-form": HeldCount(3, key(1))}


async def test_requests_are_given_as_they_came(store: Store) -> None:
    await accept(store, held(1), ready(2))
    asked = await store.requests([key(2), key(1), key(77)])
    request = new_request(1)
    assert asked[0] == StoredRequest(
        key(1), "site-form", "deal-intake", 1_000, request.body, request.meta
    )
    assert [numbers([one.key])[0] for one in asked] == [1, 2]
    assert await store.requests([]) == []


async def test_what_has_waited_for_too_long_is_told(store: Store) -> None:
    await accept(
        store, held(1, expires_at=50), held(2, "calls", expires_at=20), held(3, expires_at=51)
    )
    await accept(store, held(4), held(5, process="lost", expires_at=1))
    assert numbers(one.key for one in await store.expired(["deal-intake"], 50, 9)) == [2, 1]
    assert numbers(one.key for one in await store.expired(["deal-intake"], 50, 1)) == [2]
    assert await store.expired(["deal-intake"], 19, 9) == []


# Many that become one


def collection(number: int, *members: int) -> Collection:
    request = new_request(number, body=b"[1,2]")
    return Collection(
        Acceptance(request, NewRun(key(number), VERSION, "waiting", 5, owned=False)),
        [NewRun(key(member), VERSION, "completed", None, owned=False) for member in members],
        [JournalRow(key(member), 0, b"collected") for member in members],
    )


async def test_requests_are_collected_into_one_at_once(store: Store) -> None:
    await accept(store, *(held(number) for number in (1, 2, 3)))
    assert await store.collect(collection(9, 1, 2))
    assert await held_counts(store) == {"site-form": 1}
    record, run = await store.run(key(1))
    assert (record.status, record.version_id) == ("completed", VERSION)
    assert run is not None
    assert run.entries == [b"collected"]
    runs = await claim(store, 5, 9)
    assert [(numbers([one.key])[0], one.body) for one in runs] == [(9, b"[1,2]")]


async def test_what_is_not_held_any_more_is_collected_by_nobody(store: Store) -> None:
    await accept(store, *(held(number) for number in (1, 2, 3)))
    assert await store.collect(collection(8, 1, 2))
    assert not await store.collect(collection(9, 2, 3))
    assert await held_counts(store) == {"site-form": 1}
    with pytest.raises(LookupError):
        await store.run(key(9))


async def test_a_line_goes_on_behind_what_was_collected(store: Store) -> None:
    await accept(store, *(held(number, line="a") for number in (1, 2, 3)))
    assert await store.collect(collection(9, 1, 2))
    assert await behind(store) == {3: None}
    assert await store.collect(collection(8, 3))
    await accept(store, held(4, line="a"))
    assert await behind(store) == {4: None}


async def test_those_that_may_go_are_found_among_many_that_may_not(store: Store) -> None:
    await accept(store, *(held(number, line="a", place=1) for number in range(1, 6)), held(9))
    found = await store.waiting(HeldFilter("site-form", may_go=True), 9)
    assert numbers(one.key for one in found) == [9, 1]
