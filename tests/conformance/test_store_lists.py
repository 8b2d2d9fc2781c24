"""Lists against a plain filter: every filter and all of them together, over runs of all times and
states.

The reference knows each record by `Store.run` alone, which finds one run by its key.
"""

from __future__ import annotations

import itertools
import random
import time
from typing import get_args

import pytest

from beltline.core.run import Status
from beltline.engine.ports import Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    NewRequest,
    NewRun,
    RunChange,
    RunFilter,
    RunRecord,
)
from beltline.stores.postgres import listing, partitions
from beltline.stores.postgres.store import PostgresStore
from tests.conformance.store_rows import VERSION

DAY_MS = 86_400_000
RUNS = 400
STATUSES: tuple[Status, ...] = get_args(Status)
PROCESSES = (*["common"] * 20, *["other"] * 4, "rare")
SOURCES = (*["form"] * 9, *["call"] * 4, "mail")
PAGES = (1, 3, 50, RUNS)
DEVIATION_MS = 50_000  # of a request's time from that in its key


def some_moment(chance: random.Random, now: int) -> int:
    """Mostly of late, some long ago, some on the edges of the windows that lists look at."""
    edges = [now - days * DAY_MS for days in listing.WINDOWS_DAYS]
    return chance.choice(
        (
            now - chance.randrange(DAY_MS),
            now - chance.randrange(60 * DAY_MS),
            now - chance.randrange(900 * DAY_MS),
            chance.choice(edges) + chance.randrange(-2, 3),
            DEVIATION_MS + chance.randrange(1_000_000),
            now + chance.randrange(3 * DAY_MS),
        )
    )


async def fill(store: Store, chance: random.Random, now: int) -> list[bytes]:
    """Requests, some held, the others with runs of any state, owned or not; gives their keys."""
    batch, later = Batch(), Batch()
    for number in range(RUNS):
        at = some_moment(chance, now)
        key = at.to_bytes(6) + b"\x70\x00\x80" + number.to_bytes(2) + bytes(5)
        accepted_at = at + chance.randrange(-DEVIATION_MS, DEVIATION_MS)
        who = (chance.choice(SOURCES), chance.choice(PROCESSES))
        held = chance.random() < 0.1
        request = NewRequest(key, *who, accepted_at, b"{}", b"{}", held=held)
        if held:
            batch.acceptances.append(Acceptance(request))
            continue
        run = NewRun(key, VERSION, "moving", None, owned=True)
        batch.acceptances.append(Acceptance(request, run, [JournalRow(key, 0, b"[]")]))
        owned = chance.random() < 0.2
        ready_at = None if owned else chance.choice((None, None, 5))
        later.changes.append(RunChange(key, chance.choice(STATUSES), ready_at, owned))
    await store.commit(batch)
    await store.commit(later)
    return [acceptance.request.key for acceptance in batch.acceptances]


def fits(record: RunRecord, filter: RunFilter) -> bool:
    """What a list is, in the plainest words."""
    return (
        (filter.process is None or record.process == filter.process)
        and (filter.source is None or record.source == filter.source)
        and (filter.status is None or record.status == filter.status)
        and (filter.since is None or record.accepted_at >= filter.since)
        and (filter.until is None or record.accepted_at < filter.until)
        and (filter.before is None or record.key < filter.before)
    )


def some_filters(
    chance: random.Random, now: int, records: list[RunRecord]
) -> list[tuple[RunFilter, int]]:
    """Each combination of filters once, with values and the length of a page by chance."""

    def moment() -> int:
        return chance.choice(records).accepted_at + chance.randrange(2)

    which = itertools.product((None, "common", "rare", "none"), (None, "form", "mail"))
    bounds = list(itertools.product((False, True), repeat=3))
    return [
        (
            RunFilter(
                process=process,
                source=source,
                status=status,
                since=min(moment(), moment()) if has_since else None,
                until=max(moment(), moment()) if has_until else None,
                before=chance.choice(records).key if has_before else None,
            ),
            chance.choice(PAGES),
        )
        for process, source in which
        for status in (None, *STATUSES)
        for has_since, has_until, has_before in bounds
    ]


@pytest.mark.parametrize("look", [1, 7, 200])
async def test_a_list_holds_what_fits_its_filter_newest_first(
    store: Store, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    monkeypatch.setattr(listing, "LOOK", look)  # so few rows that both roads are walked in turns
    chance = random.Random(look)
    now = round(time.time() * 1_000)
    if isinstance(store, PostgresStore):
        days = (now - 70 * DAY_MS, now + 2 * DAY_MS, 7 * DAY_MS)
        await store._changes.work(lambda db: partitions.cover(db, *days))
    keys = await fill(store, chance, now)
    records = [(await store.run(key))[0] for key in sorted(keys, reverse=True)]
    assert len({(record.status, record.owned) for record in records}) == 9
    for filter, limit in some_filters(chance, now, records):
        expected = [record for record in records if fits(record, filter)][:limit]
        assert await store.runs(filter, limit) == expected, (filter, limit)


async def test_pages_that_follow_each_other_hold_each_run_once(store: Store) -> None:
    chance = random.Random(4)
    keys = await fill(store, chance, round(time.time() * 1_000))
    for status in (None, *STATUSES):
        records = [(await store.run(key))[0] for key in sorted(keys, reverse=True)]
        found: list[RunRecord] = []
        before: bytes | None = None
        while page := await store.runs(RunFilter(status=status, before=before), 7):
            found += page
            before = page[-1].key
        assert found == [record for record in records if fits(record, RunFilter(status=status))]
