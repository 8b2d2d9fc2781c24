"""What every store promises to the belt: commits, claims, recovery, the inbox."""

from __future__ import annotations

import asyncio

import pytest

from beltline.engine.ports import NotFound, Store, StoreBroken
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    Message,
    RunChange,
    StoredRun,
)
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import (
    VERSION,
    accept,
    change,
    claim,
    claimed,
    held,
    key,
    moving,
    new_request,
    numbers,
    ready,
    started,
)

# Commits


async def test_an_accepted_run_is_read_back_as_it_was_given(store: Store, reopen: Reopen) -> None:
    request = new_request(1, body=b'{"text":"\xd0\xb4\xd0\xb0, \\u0000"}')
    await accept(store, started(request, rows=3))
    store = await reopen(store)
    record, run = await store.run(key(1))
    assert run == StoredRun(
        key=key(1),
        version_id=VERSION,
        crashes=0,
        body=request.body,
        meta=request.meta,
        entries=[b"entry 0", b"entry 1", b"entry 2"],
        messages=[],
    )
    assert (record.source, record.process, record.accepted_at) == (
        "site-form",
        "deal-intake",
        1_000,
    )


async def test_bytes_are_kept_whatever_they_hold(store: Store) -> None:
    every = bytes(range(256))
    await accept(store, moving(1))
    await store.commit(Batch(journal=[JournalRow(key(1), 1, every), JournalRow(key(1), 2, b"")]))
    _, run = await store.run(key(1))
    assert run is not None
    assert run.entries == [b"entry 0", every, b""]


async def test_the_journal_is_read_in_the_order_of_seq(store: Store) -> None:
    await accept(store, moving(1), moving(2))
    await store.commit(
        Batch(journal=[JournalRow(key(n), seq, b"%d" % seq) for seq in (9, 2, 70) for n in (2, 1)])
    )
    for number in (1, 2):
        _, run = await store.run(key(number))
        assert run is not None
        assert run.entries == [b"entry 0", b"2", b"9", b"70"]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
async def test_a_batch_of_any_size_is_whole(store: Store, size: int) -> None:
    await accept(store, *(moving(number) for number in range(size)))
    rows = [JournalRow(key(number), 1, b"%d" % number) for number in range(size)]
    changes = [RunChange(key(number), "waiting", number, owned=False) for number in range(size)]
    await store.commit(Batch(journal=rows, changes=changes))
    runs = await claim(store, size, size + 1)
    assert numbers(run.key for run in runs) == list(range(size))
    assert [run.entries for run in runs] == [[b"entry 0", b"%d" % number] for number in range(size)]


async def test_an_empty_batch_is_a_commit_of_nothing(store: Store) -> None:
    assert await store.commit(Batch()) == []


async def test_a_row_that_exists_breaks_the_store_and_changes_nothing(
    store: Store, reopen: Reopen
) -> None:
    await accept(store, moving(1))
    before = await store.run(key(1))
    twice = Batch(
        acceptances=[moving(2)],
        journal=[JournalRow(key(1), 1, b"new"), JournalRow(key(1), 0, b"again")],
        changes=[RunChange(key(1), "completed", None, owned=False)],
    )
    with pytest.raises(StoreBroken):
        await store.commit(twice)
    with pytest.raises(StoreBroken):  # it refuses everything from now on
        await store.commit(Batch())
    with pytest.raises(StoreBroken):
        await store.run(key(1))
    store = await reopen(store)
    assert await store.run(key(1)) == before
    with pytest.raises(NotFound):
        await store.run(key(2))


async def test_a_change_of_a_run_that_is_not_there_breaks_the_store(store: Store) -> None:
    with pytest.raises(StoreBroken):
        await change(store, 1, "completed")


async def test_calls_happen_in_order_and_each_by_itself(store: Store) -> None:
    await accept(store, moving(1))
    first, missing, second, _ = await asyncio.gather(
        store.post(key(1), b"first", 5),
        store.post(key(2), b"missing", 5),
        store.post(key(1), b"second", 5),
        store.commit(Batch(journal=[JournalRow(key(1), 1, b"decided")])),
        return_exceptions=True,
    )
    assert isinstance(missing, NotFound)
    assert [message.body for message in await store.messages_after(0, 9)] == [b"first", b"second"]
    assert [message.id for message in await store.messages_after(0, 9)] == [first, second]
    _, run = await store.run(key(1))
    assert run is not None
    assert run.entries == [b"entry 0", b"decided"]


@pytest.mark.parametrize(
    "acceptance",
    [
        pytest.param(Acceptance(new_request(1)), id="neither held nor started"),
        pytest.param(started(new_request(1, held=True)), id="held and started"),
        pytest.param(
            Acceptance(new_request(1, held=True), None, [JournalRow(key(1), 0, b"")]),
            id="held with a journal",
        ),
        pytest.param(Acceptance(new_request(1), moving(2).run), id="another run's key"),
        pytest.param(
            Acceptance(new_request(1), moving(1).run, [JournalRow(key(2), 0, b"")]),
            id="another journal's key",
        ),
    ],
)
async def test_a_request_that_would_be_lost_is_refused(
    store: Store, acceptance: Acceptance
) -> None:
    with pytest.raises(ValueError, match="request"):
        await store.commit(Batch(acceptances=[moving(3), acceptance]))
    with pytest.raises(NotFound):
        await store.run(key(3))
    await accept(store, moving(3))  # it was the call's mistake: the store goes on


# Changes and claims


async def test_a_run_that_is_let_go_of_is_claimed_again_from_its_time_on(store: Store) -> None:
    await accept(store, moving(1), moving(2))
    await change(store, 1, "waiting", 500)
    await change(store, 2, "waiting", None)
    assert await claimed(store, 499) == []
    assert await store.next_ready_at() == 500
    assert await claimed(store, 500) == [1]
    assert await claimed(store, 10**15) == []  # 2 is never ready by itself


async def test_a_change_that_keeps_the_run_does_not_make_it_claimable(store: Store) -> None:
    await accept(store, moving(1))
    await change(store, 1, "waiting", 5, owned=True)
    assert await claimed(store) == []
    assert await store.next_ready_at() is None
    assert (await store.run(key(1)))[0].status == "moving"


async def test_of_several_changes_of_a_run_in_a_batch_the_last_stands(store: Store) -> None:
    await accept(store, moving(1))
    changes = [
        RunChange(key(1), "waiting", 5, owned=False),
        RunChange(key(1), "stopped", None, owned=False),
    ]
    await store.commit(Batch(changes=changes))
    assert (await store.run(key(1)))[0].status == "stopped"
    assert await claimed(store) == []


async def test_the_earliest_are_claimed_first_and_only_once(store: Store) -> None:
    await accept(store, *(ready(number, 100 - number) for number in range(10)))
    assert await claimed(store, 99, 3) == [9, 8, 7]
    assert await claimed(store, 99, 3) == [6, 5, 4]
    assert await claimed(store, 97) == [3]
    assert await claimed(store, 1_000) == [2, 1, 0]
    assert await claimed(store, 1_000) == []


async def test_a_claimed_run_comes_with_its_request_journal_and_messages(store: Store) -> None:
    await accept(store, moving(1), ready(2))
    await store.commit(Batch(journal=[JournalRow(key(1), 1, b"more")]))
    first = await store.post(key(1), b"one", 50)
    second = await store.post(key(1), b"two", 40)
    await change(store, 1, "waiting", 900)
    bare, full = sorted(await claim(store, 900, 9), key=lambda run: -run.key[5])
    assert (bare.entries, bare.messages) == ([], [])
    assert full.entries == [b"entry 0", b"more"]
    assert full.messages == [Message(first, key(1), b"one"), Message(second, key(1), b"two")]
    assert (full.body, full.version_id) == (new_request(1).body, VERSION)


async def test_claims_at_the_same_time_never_share_a_run(store: Store) -> None:
    await accept(store, *(ready(number) for number in range(50)))
    claims = await asyncio.gather(*(claimed(store, 10, 7) for _ in range(10)))
    assert sorted(number for claim in claims for number in claim) == list(range(50))


async def test_claim_one_takes_a_run_whatever_its_time(store: Store) -> None:
    await accept(store, ready(1, 10**12), moving(2), held(3))
    run = await store.claim_one(key(1))
    assert run is not None
    assert run.body == new_request(1).body
    assert await store.claim_one(key(1)) is None  # owned now
    assert await store.claim_one(key(2)) is None  # owned from the start
    assert await store.claim_one(key(3)) is None  # held: it has no run
    assert await store.claim_one(key(4)) is None


async def test_next_ready_at_looks_at_runs_that_nobody_owns(store: Store) -> None:
    assert await store.next_ready_at() is None
    await accept(store, ready(1, 700), ready(2, 300), moving(3))
    assert await store.next_ready_at() == 300
    await store.claim_one(key(2))
    assert await store.next_ready_at() == 700


# Crashes


async def test_recover_counts_a_crash_for_every_owned_run(store: Store, reopen: Reopen) -> None:
    await accept(store, moving(1), ready(2, 5), ready(3, 6), held(4))
    assert await claimed(store, 5) == [2]
    store = await reopen(store)
    assert await store.join() == 2
    assert await store.join() == 0
    assert await store.next_ready_at() == 6  # the runs with crashes are not looked at
    assert await claimed(store, 10, crashes=0) == [3]
    runs = await claim(store, 0, 9, crashes=1)
    assert sorted(numbers(run.key for run in runs)) == [1, 2]
    assert [run.crashes for run in runs] == [1, 1]


async def test_five_crashes_stand_for_five_and_more(store: Store) -> None:
    await accept(store, moving(1), moving(2))
    for crashes in range(1, 8):
        await store.join()
        if crashes == 5:
            await store.claim_one(key(2))
            await change(store, 2, "waiting", 0)  # a commit clears it
        for other in set(range(6)) - {min(crashes, 5)} - ({0} if crashes >= 5 else set()):
            assert await claimed(store, crashes=other) == []
        found = await claim(store, 10, 9, crashes=min(crashes, 5))
        assert [run.crashes for run in found if run.key == key(1)] == [crashes]
    assert await claimed(store, crashes=0) == [2]


async def test_a_change_clears_the_crashes(store: Store) -> None:
    await accept(store, moving(1))
    await store.join()
    assert await claimed(store, crashes=1) == [1]
    await change(store, 1, "moving", None, owned=True)
    assert (await store.run(key(1)))[0].crashes == 0
    await store.join()
    assert await claimed(store, crashes=1) == [1]


async def test_hand_over_lets_go_and_counts_nothing(store: Store, reopen: Reopen) -> None:
    await accept(store, moving(1), ready(2, 10**12))
    await store.hand_over()
    store = await reopen(store)
    assert await store.join() == 0
    assert await claimed(store, 0) == [1]
    assert (await store.run(key(1)))[0].crashes == 0


# The inbox


async def test_a_message_makes_a_run_ready_that_nobody_owns(store: Store) -> None:
    await accept(store, moving(1), ready(2, 900), ready(3, 100))
    await change(store, 1, "waiting", None)
    for number in (1, 2, 3):
        await store.post(key(number), b"hello", 400)
    assert await claimed(store, 399) == [3]  # it was ready earlier and stays so
    assert sorted(await claimed(store, 400)) == [1, 2]


async def test_a_message_for_an_owned_run_waits_until_it_is_let_go_of(store: Store) -> None:
    await accept(store, moving(1), moving(2), moving(3))
    done = await store.post(key(1), b"done", 400)
    await store.post(key(2), b"left", 400)
    assert await claimed(store) == []
    letting_go = [RunChange(key(n), "waiting", None, owned=False) for n in (1, 2, 3)]
    await store.commit(Batch(messages_done=[done], changes=letting_go))
    assert await claimed(store, 0) == [2]  # ready at once, though nobody gave it a time


async def test_a_message_goes_when_it_is_decided_on(store: Store) -> None:
    await accept(store, moving(1))
    ids = [await store.post(key(1), b"%d" % number, 0) for number in range(4)]
    await store.commit(
        Batch(journal=[JournalRow(key(1), 1, b"decided")], messages_done=[ids[0], ids[2]])
    )
    assert [message.id for message in await store.messages_after(0, 9)] == [ids[1], ids[3]]


async def test_message_ids_rise_even_after_the_last_one_went(store: Store, reopen: Reopen) -> None:
    await accept(store, moving(1))
    first = await store.post(key(1), b"one", 0)
    await store.commit(Batch(messages_done=[first]))
    store = await reopen(store)
    assert await store.post(key(1), b"two", 0) > first


async def test_messages_after_reads_on_in_order(store: Store) -> None:
    await accept(store, moving(1), moving(2))
    ids = [await store.post(key(1 + number % 2), b"%d" % number, 0) for number in range(5)]
    page = await store.messages_after(0, 3)
    assert [message.body for message in page] == [b"0", b"1", b"2"]
    assert page[1] == Message(ids[1], key(2), b"1")
    assert [message.id for message in await store.messages_after(page[-1].id, 3)] == ids[3:]


async def test_a_message_for_no_run_is_refused(store: Store) -> None:
    await accept(store, held(1))
    for number in (1, 2):
        with pytest.raises(NotFound):
            await store.post(key(number), b"lost", 0)
    assert await store.messages_after(0, 9) == []
