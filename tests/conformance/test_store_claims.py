"""What every store promises of a claim beside its order: bytes, what is left, stopped runs."""

from __future__ import annotations

import pytest

from beltline.engine.ports import Store
from beltline.engine.records import Acceptance, JournalRow, NewRun, RunFilter
from tests.conformance.store_rows import (
    VERSION,
    accept,
    change,
    claim,
    claimed,
    key,
    moving,
    new_request,
    numbers,
    ready,
)


async def sized(store: Store, *sizes: int) -> None:
    """Runs 0, 1, ... that are ready and of which so many bytes are loaded, half of them journal."""
    for number, size in enumerate(sizes):
        left = size - len(new_request(number).meta)
        request = new_request(number, body=b"b" * (left // 2))
        run = NewRun(request.key, VERSION, "waiting", number, owned=False)
        entries = [b"e", b"e" * (left - left // 2 - 1)]
        rows = [JournalRow(request.key, seq, entry) for seq, entry in enumerate(entries)]
        await accept(store, Acceptance(request, run, rows))


async def taken(store: Store, max_bytes: int, limit: int = 9) -> tuple[list[int], bool]:
    """The numbers of the runs that a claim took, and whether it left others."""
    found = await store.claim(10**6, limit, crashes=0, max_bytes=max_bytes)
    return numbers(run.key for run in found.runs), found.more


async def test_a_claim_stops_before_it_takes_too_many_bytes(store: Store) -> None:
    await sized(store, 100, 200, 300, 50, 60)
    assert await taken(store, 300) == ([0, 1], True)
    assert await taken(store, 349) == ([2], True)  # the next would fit alone, and waits its turn
    assert await taken(store, 110) == ([3, 4], False)
    assert await taken(store, 110) == ([], False)


async def test_the_first_is_claimed_however_large_it_is(store: Store) -> None:
    await sized(store, 5_000_000, 40, 40)
    assert await taken(store, 1) == ([0], True)
    assert await taken(store, 1) == ([1], True)
    assert await taken(store, 0) == ([2], False)
    _, run = await store.run(key(0))
    assert run is not None
    assert len(run.body) + len(run.meta) + sum(map(len, run.entries)) == 5_000_000


async def test_a_claim_tells_whether_it_left_others(store: Store) -> None:
    await accept(store, *(ready(number, number) for number in range(5)), ready(9, 10**9), moving(8))
    await store.join()  # run 8 is of those that have a crash
    assert await taken(store, 10**6, limit=0) == ([], True)
    assert await taken(store, 10**6, limit=2) == ([0, 1], True)
    assert await taken(store, 10**6, limit=3) == ([2, 3, 4], False)
    assert await taken(store, 10**6, limit=0) == ([], False)


@pytest.mark.parametrize("fitting", [1, 63, 64, 65, 128, 299])
async def test_bytes_are_counted_over_any_number_of_runs(store: Store, fitting: int) -> None:
    await sized(store, *[100] * 300)
    assert await taken(store, fitting * 100 + 99, 300) == (list(range(fitting)), True)
    rest = list(range(fitting, 300))
    assert await taken(store, len(rest) * 100, 300) == (rest, False)


async def test_large_runs_are_claimed_whole_beside_small_ones(store: Store) -> None:
    sizes = [100, 3_000_000, 200, 1_048_576, 1_048_577, 100, 700_000, 700_000]
    await sized(store, *sizes)
    message = await store.post(key(1), b"hello", 1)
    runs = await claim(store, 10**6, 9)
    assert numbers(run.key for run in runs) == list(range(8))
    assert [len(run.body) + len(run.meta) + sum(map(len, run.entries)) for run in runs] == sizes
    assert [set(run.body) | set(run.entries[0]) for run in runs] == [set(b"be")] * 8
    assert [len(run.entries[0]) for run in runs] == [1] * 8  # in their order
    assert [[one.id for one in run.messages] for run in runs] == [[], [message]] + [[]] * 6


async def test_a_stopped_run_with_a_time_is_shown_as_stopped_and_claimed_then(
    store: Store,
) -> None:
    await accept(store, moving(1))
    await change(store, 1, "stopped", 5_000)
    record, _ = await store.run(key(1))
    assert (record.status, record.ready_at, record.owned) == ("stopped", 5_000, False)
    assert await store.runs(RunFilter(status="stopped"), 9) == [record]
    assert await store.counts() == {"ready": 1, "owned": 0, "held": 0, "stopped": 1}
    assert await store.next_ready_at() == 5_000
    assert await claimed(store, 4_999) == []
    assert await claimed(store, 5_000) == [1]
    await change(store, 1, "stopped", 65_000)
    assert await claimed(store, 64_999) == []
    assert await claimed(store, 65_000) == [1]
