"""What every store promises about the identities of requests: a repeat starts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.engine.ports import NotFound, Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    NewRequest,
    Repeat,
    RunChange,
)
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import accept, held, key, new_request, started


async def test_an_identity_is_unique_for_its_source_until_its_time(store: Store) -> None:
    def lead(number: int, at: int, *, source: str = "site-form", text: bytes = b"a") -> Acceptance:
        return started(
            new_request(
                number,
                source=source,
                accepted_at=at,
                identity="lead 1",
                identity_until=at + 100,
                body_hash=text,
            )
        )

    await accept(store, lead(1, 1_000))
    await accept(store, lead(2, 1_000, source="other-form"))
    repeats = await store.commit(Batch(acceptances=[lead(3, 1_099), lead(4, 1_099, text=b"b")]))
    assert repeats == [Repeat(key(1), same_body=True), Repeat(key(1), same_body=False)]
    await accept(store, lead(5, 1_100))
    assert await store.commit(Batch(acceptances=[lead(6, 1_101)])) == [Repeat(key(5), True)]


async def test_a_repeat_is_told_before_it_is_stored(store: Store) -> None:
    def lead(number: int, at: int, source: str = "site-form", **more: Any) -> NewRequest:
        more = {"identity": "lead\x00 1", "body_hash": b"a", **more}
        return new_request(number, source=source, accepted_at=at, identity_until=at + 100, **more)

    assert await store.repeated(lead(1, 1_000)) is None
    await accept(store, started(lead(1, 1_000)))
    assert await store.repeated(lead(2, 1_099)) == Repeat(key(1), same_body=True)
    assert await store.repeated(lead(2, 1_099, body_hash=b"b")) == Repeat(key(1), same_body=False)
    assert await store.repeated(lead(2, 1_100)) is None
    assert await store.repeated(lead(2, 1_099, identity="lead 2")) is None
    assert await store.repeated(lead(2, 1_099, identity=None)) is None
    assert await store.repeated(lead(2, 1_099, source="other-form")) is None


async def test_an_identity_is_unique_within_one_batch(store: Store) -> None:
    batch = [
        started(
            new_request(number, identity=name, identity_until=9_999, body_hash=b"%d" % (number % 2))
        )
        for number, name in enumerate(["a", "b", "a", "a", "c", "b"])
    ]
    assert await store.commit(Batch(acceptances=batch)) == [
        None,
        None,
        Repeat(key(0), same_body=True),
        Repeat(key(0), same_body=False),
        None,
        Repeat(key(1), same_body=True),
    ]


async def test_an_identity_that_ends_within_a_batch_is_free_again(store: Store) -> None:
    batch = [
        started(new_request(1, identity="a", accepted_at=10, identity_until=20)),
        started(new_request(2, identity="a", accepted_at=19, identity_until=29)),
        started(new_request(3, identity="a", accepted_at=20, identity_until=30)),
    ]
    assert await store.commit(Batch(acceptances=batch)) == [None, Repeat(key(1), True), None]


async def test_nothing_of_a_repeat_is_stored(store: Store) -> None:
    first = started(new_request(1, identity="a", identity_until=9_999))
    repeat = started(new_request(2, identity="a", identity_until=9_999))
    batch = Batch(
        acceptances=[first, repeat, held(3)],
        journal=[JournalRow(key(1), 5, b"first"), JournalRow(key(2), 5, b"repeat")],
        changes=[
            RunChange(key(1), "completed", None, owned=False),
            RunChange(key(2), "completed", None, owned=False),
        ],
    )
    assert await store.commit(batch) == [None, Repeat(key(1), True), None]
    with pytest.raises(NotFound):
        await store.run(key(2))
    record, run = await store.run(key(1))
    assert run is not None
    assert (record.status, run.entries) == ("completed", [b"entry 0", b"first"])
    await accept(store, started(new_request(2)))  # its rows are not in the way
    _, run = await store.run(key(2))
    assert run is not None
    assert run.entries == [b"entry 0"]


async def test_purging_removes_the_identities_that_are_free_again(
    store: Store, reopen: Reopen
) -> None:
    def lead(number: int, name: str, at: int, until: int) -> Acceptance:
        return started(new_request(number, accepted_at=at, identity=name, identity_until=until))

    await accept(store, *(lead(number, f"lead {number}", 0, 100 + number) for number in range(5)))
    await accept(store, started(new_request(5)), started(new_request(6, source="other")))
    assert await store.purge_identities(99, 9) == 0
    assert await store.purge_identities(103, 3) == 3
    assert await store.purge_identities(103, 3) == 1
    assert await store.purge_identities(103, 3) == 0
    store = await reopen(store)
    await store.join()
    repeat = lead(14, "lead 4", 0, 999)
    assert await store.commit(Batch(acceptances=[repeat])) == [Repeat(key(4), same_body=True)]
    await accept(store, lead(13, "lead 3", 0, 104))  # forgotten, so that any time is free
    assert await store.purge_identities(104, 0) == 0
    assert await store.purge_identities(104, 9) == 2
    for number in range(7):  # the requests stay
        assert (await store.run(key(number)))[0].key == key(number)


async def test_an_identity_that_was_taken_anew_is_purged_by_its_new_time(store: Store) -> None:
    for number, at in ((1, 0), (2, 100)):
        await accept(
            store,
            started(new_request(number, accepted_at=at, identity="a", identity_until=at + 100)),
        )
    assert await store.purge_identities(199, 9) == 0
    assert await store.purge_identities(200, 9) == 1


async def test_requests_without_an_identity_are_never_repeats(store: Store) -> None:
    await accept(store, *(started(new_request(number)) for number in range(3)))
