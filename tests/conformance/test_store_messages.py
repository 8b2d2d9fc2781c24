"""What every store promises of messages that runs send each other in their commits."""

from __future__ import annotations

from beltline.engine.ports import Store
from beltline.engine.records import Batch, NewMessage, RunChange
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import key, new_request, started


async def bodies(store: Store, number: int) -> list[bytes]:
    stored = await store.claim_one(key(number))
    assert stored is not None
    return [message.body for message in stored.messages]


async def test_a_message_comes_with_the_commit_and_makes_its_run_ready(
    store: Store, reopen: Reopen
) -> None:
    await store.join()
    asleep = started(new_request(1), status="waiting", owned=False)
    await store.commit(Batch([asleep]))
    assert await store.next_ready_at() is None
    told = [NewMessage(key(1), b"first", 700), NewMessage(key(1), b"second", 800)]
    await store.commit(Batch([started(new_request(2))], messages=told))
    store = await reopen(store)
    assert await store.next_ready_at() == 700
    await store.join()
    assert await bodies(store, 1) == [b"first", b"second"]


async def test_a_message_for_a_run_that_the_same_commit_starts_comes_too(store: Store) -> None:
    await store.join()
    waiting = started(new_request(1), status="waiting", owned=False)
    await store.commit(Batch([waiting], messages=[NewMessage(key(1), b"m", 700)]))
    assert await bodies(store, 1) == [b"m"]


async def test_a_run_that_is_let_go_of_beside_its_message_is_ready(store: Store) -> None:
    await store.join()
    await store.commit(Batch([started(new_request(1))]))
    change = RunChange(key(1), "waiting", None, owned=False)
    await store.commit(Batch(changes=[change], messages=[NewMessage(key(1), b"m", 700)]))
    assert await store.next_ready_at() == 0
    assert await bodies(store, 1) == [b"m"]


async def test_a_run_that_is_owned_finds_the_message_in_its_inbox(store: Store) -> None:
    await store.join()
    await store.commit(Batch([started(new_request(1))]))
    await store.commit(Batch(messages=[NewMessage(key(1), b"m", 700)]))
    assert [one.body for one in await store.messages_after(0, 10)] == [b"m"]


async def test_a_message_for_a_run_that_has_ended_comes_all_the_same(store: Store) -> None:
    await store.join()
    await store.commit(Batch([started(new_request(1), status="completed", owned=False)]))
    await store.commit(Batch(messages=[NewMessage(key(1), b"m", 700)]))
    assert await store.next_ready_at() == 700
    assert await bodies(store, 1) == [b"m"]


async def test_a_message_for_a_run_that_is_not_there_is_nothing(store: Store) -> None:
    await store.join()
    await store.commit(Batch([started(new_request(1))], messages=[NewMessage(key(9), b"m", 700)]))
    assert await store.messages_after(0, 10) == []
