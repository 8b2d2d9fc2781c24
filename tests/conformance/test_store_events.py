"""What every store promises of events from outside, and of the runs that wait for them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from beltline.engine.event_store import EventTaken, ExpectationFilter, OutsideEvent
from beltline.engine.ports import Store
from beltline.engine.records import Acceptance, Batch, Expectation, RunChange
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import key, new_request, started

NOW = 5_000


def event(id: str = "e1", name: str = "paid", about: str = "17", **fields: Any) -> OutsideEvent:
    usual: dict[str, Any] = {
        "at": NOW,
        "keep_until": NOW + 100,
        "forget_at": NOW + 500,
        "hash": b"h",
        "body": f"body of {id}".encode(),
    }
    return OutsideEvent(id, name, about, **(usual | fields))


def expects(
    number: int, step: str = "wait", visit: int = 1, name: str = "paid", about: str = "17"
) -> Expectation:
    return Expectation(key(number), step, visit, "event", name, about, NOW)


def place(one: Expectation) -> tuple[bytes, str, int]:
    return one.key, one.step, one.visit


def waits(*awaited: Expectation, **rest: Any) -> Batch:
    return Batch(awaited=list(awaited), awaited_no_more=[place(one) for one in awaited], **rest)


def asleep(number: int) -> Acceptance:
    return started(new_request(number), status="waiting", owned=False)


async def asleep_and_waiting(store: Store, *numbers: int) -> None:
    await store.join()
    batch = waits(*map(expects, numbers), acceptances=[asleep(number) for number in numbers])
    await store.commit(batch)


async def inbox_of(store: Store, number: int) -> list[bytes]:
    """What is in the inbox of a run; it is taken for that."""
    stored = await store.claim_one(key(number))
    assert stored is not None
    return [message.body for message in stored.messages]


async def listed(store: Store, **filter: Any) -> list[Expectation]:
    return await store.expectations(ExpectationFilter(**filter), 100)


async def test_an_event_goes_to_every_run_that_waits_for_it_once(
    store: Store, reopen: Reopen
) -> None:
    await asleep_and_waiting(store, 1, 2)
    await store.commit(waits(expects(1, "again"), acceptances=[asleep(3)]))
    assert await store.next_ready_at() is None
    assert await store.give_event(event()) == EventTaken(2)
    store = await reopen(store)
    assert await store.next_ready_at() == NOW
    assert await listed(store) == []
    await store.join()
    assert await inbox_of(store, 1) == [b"body of e1"]
    assert await inbox_of(store, 2) == [b"body of e1"]
    assert await inbox_of(store, 3) == []
    # It was given away: nothing is kept of it for others.
    await store.commit(waits(expects(4), acceptances=[asleep(4)]))
    assert await inbox_of(store, 4) == []


@pytest.mark.parametrize(("name", "about"), [("paid", "18"), ("sent", "17"), ("paid", "")])
async def test_other_events_are_not_for_it(store: Store, name: str, about: str) -> None:
    await asleep_and_waiting(store, 1)
    assert await store.give_event(event(name=name, about=about)) == EventTaken(0)
    assert await inbox_of(store, 1) == []
    assert await listed(store) == [expects(1)]


async def test_an_event_that_nobody_waits_for_is_kept_for_the_first_that_comes(
    store: Store, reopen: Reopen
) -> None:
    await store.join()
    assert await store.give_event(event("late", at=NOW + 1)) == EventTaken(0)
    assert await store.give_event(event("early")) == EventTaken(0)
    store = await reopen(store)
    await asleep_and_waiting(store, 1, 2, 3)
    assert await listed(store) == [expects(3)]
    assert await store.next_ready_at() == NOW  # they began in the commit that takes it
    assert await inbox_of(store, 1) == [b"body of early"]
    assert await inbox_of(store, 2) == [b"body of late"]
    assert await inbox_of(store, 3) == []
    assert await store.give_event(event("early")) == EventTaken(1, is_repeat=True)


async def test_a_run_that_takes_what_was_kept_is_ready_when_it_is_let_go_of(store: Store) -> None:
    await store.join()
    await store.give_event(event())
    await store.commit(Batch([started(new_request(1))]))
    change = RunChange(key(1), "waiting", None, owned=False)
    await store.commit(waits(expects(1), changes=[change]))
    assert await store.next_ready_at() == 0


async def test_an_event_is_kept_for_its_time_only(store: Store) -> None:
    await store.give_event(event(keep_until=NOW))
    await asleep_and_waiting(store, 1)
    assert await inbox_of(store, 1) == []


async def test_an_event_is_taken_in_once_while_its_id_is_known(store: Store) -> None:
    await asleep_and_waiting(store, 1)
    assert await store.give_event(event()) == EventTaken(1)
    assert await store.give_event(event()) == EventTaken(1, is_repeat=True)
    other = event(about="x", hash=b"other")
    assert await store.give_event(other) == EventTaken(1, is_repeat=True, is_same=False)
    assert await inbox_of(store, 1) == [b"body of e1"]
    assert await store.give_event(event(at=NOW + 500)) == EventTaken(0)


async def test_a_visit_that_waits_no_more_is_given_nothing(store: Store) -> None:
    await asleep_and_waiting(store, 1, 2)
    await store.commit(Batch(awaited_no_more=[place(expects(1)), place(expects(9))]))
    assert await store.give_event(event()) == EventTaken(1)
    assert await inbox_of(store, 1) == []


async def test_what_a_visit_waits_for_may_change(store: Store) -> None:
    await asleep_and_waiting(store, 1)
    await store.commit(waits(expects(1, name="sent")))
    assert await store.give_event(event()) == EventTaken(0)
    assert await store.give_event(event("e2", "sent")) == EventTaken(1)


async def test_what_a_refused_request_would_wait_for_is_not_kept(store: Store) -> None:
    await store.join()
    first = started(new_request(1, identity="i", identity_until=10**6))
    again = started(new_request(2, identity="i", identity_until=10**6))
    await store.commit(waits(expects(2), acceptances=[first, again]))
    assert await listed(store) == []


async def test_a_run_that_is_owned_hears_of_it_in_its_inbox(store: Store) -> None:
    await store.join()
    await store.commit(waits(expects(1), acceptances=[started(new_request(1))]))
    await store.give_event(event())
    assert [one.body for one in await store.messages_after(0, 10)] == [b"body of e1"]


async def test_what_runs_wait_for_is_listed_in_pages(store: Store) -> None:
    await asleep_and_waiting(store, 2, 1)
    more = [expects(1, "B", 2), expects(1, "b", 10, name="sent"), expects(1, "b", 9)]
    await store.commit(waits(*more))
    every = [more[0], more[2], more[1], expects(1), expects(2)]
    assert await listed(store) == every
    assert await listed(store, kind="event", name="sent") == [more[1]]
    assert await listed(store, kind="other") == []
    after = ExpectationFilter(after=place(more[2]))
    assert await store.expectations(after, 2) == every[2:4]


async def test_names_and_keys_hold_any_character(store: Store) -> None:
    await store.join()
    odd = expects(1, name="nul \0", about="Ключ \0")
    await store.commit(waits(odd, acceptances=[asleep(1)]))
    assert await listed(store) == [odd]
    given = event("id \0", odd.name, odd.event_key)
    assert await store.give_event(given) == EventTaken(1)


async def test_events_that_are_forgotten_are_removed(store: Store) -> None:
    for number in range(3):
        await store.give_event(event(f"e{number}", forget_at=NOW + number))
    assert await store.purge_events(NOW + 1, 1) == 1
    assert await store.purge_events(NOW + 1, 10) == 1
    assert await store.purge_events(NOW + 1, 10) == 0
    assert (await store.give_event(event("e2", at=NOW + 1))).is_repeat


async def test_no_event_falls_between_one_who_waits_and_one_who_brings(store: Store) -> None:
    await store.join()
    runs = range(1, 41)
    await store.commit(Batch([started(new_request(number)) for number in runs]))
    given = [store.give_event(event(f"e{number}", about=str(number))) for number in runs]
    mixed: list[Any] = []
    for number, giving in zip(runs, given, strict=True):
        mixed += [giving, store.commit(waits(expects(number, about=str(number))))]
    await asyncio.gather(*mixed)
    messages = await store.messages_after(0, 100)
    assert sorted(one.key for one in messages) == [key(number) for number in runs]
    assert await listed(store) == []


async def test_a_given_event_is_not_kept_as_a_body(store: Store) -> None:
    await asleep_and_waiting(store, 1)
    await store.give_event(msgspec.structs.replace(event(), body=b"x" * 1_000))
    await store.commit(waits(expects(2), acceptances=[asleep(2)]))
    assert await inbox_of(store, 2) == []
