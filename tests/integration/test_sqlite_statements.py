"""The statements of the SQLite store: few steps for many rows, and no plan that grows with age."""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

from beltline.engine.records import Acceptance, HeldFilter, NewRun, RunFilter
from beltline.stores.sqlite import buffers, claims, commits, inbox, memory, processes, reading
from beltline.stores.sqlite.many_rows import LONGEST, ManyRows
from beltline.stores.sqlite.store import SqliteStore
from tests.conformance.store_rows import (
    accept,
    claim,
    held,
    key,
    new_request,
    ready,
    release,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "hub.db", exclusive=True)
    yield opened
    await opened.close()


def test_many_rows_uses_few_statements() -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE pair (a, b)")
    steps = 0

    def count_step(*_: object) -> bool:
        nonlocal steps
        steps += 1
        return True

    db.exec_trace = count_step
    add = ManyRows("INSERT INTO pair (a, b)", 2)
    for rows, most in ((0, 0), (1, 1), (LONGEST, 1), (LONGEST * 2, 2), (LONGEST - 1, 8)):
        steps = 0
        add.run(db, [value for number in range(rows) for value in (number, -number)])
        assert steps <= most
    assert db.execute("SELECT count(*), sum(a + b) FROM pair").get == (LONGEST * 4, 0)
    db.close()


SCANNED_ON_PURPOSE = {
    "COUNTS",
    "COUNT_HELD",
    "TOKENS",
    "SOURCE_STATES",
    "RECORD",
    "ANY_MESSAGE",
    "ALL_NEWEST",
}


def statements() -> Iterator[tuple[str, str]]:
    """Every statement of the store with its name; fragments are put together."""
    for topic in (buffers, claims, commits, inbox, memory, processes, reading):
        for name, value in vars(topic).items():
            if isinstance(value, ManyRows):
                for length, statement in value.statements:
                    yield f"{name} over {length}", statement
            elif name.isupper() and isinstance(value, str) and not value.startswith(" "):
                yield name, value
    yield "one run", reading.RECORD + reading.ALL_RUNS + " WHERE request.key = ?"
    newest = " WHERE request.key < ? ORDER BY request.key DESC LIMIT 1"
    yield "a page of runs", reading.RECORD + reading.ALL_RUNS + newest
    stopped = " WHERE run.status = 'stopped' AND run.key < ? ORDER BY run.key DESC LIMIT 1"
    yield "a page of stopped runs", reading.RECORD + reading.STOPPED_RUNS + stopped


async def test_no_statement_reads_a_whole_table_or_sorts_what_grows(store: SqliteStore) -> None:
    db = store._writer.db
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    checked = 0
    for name, statement in statements():
        if name in SCANNED_ON_PURPOSE:
            continue
        checked += 1
        bindings = apsw.ext.query_info(db, statement).bindings_count
        plan = db.execute("EXPLAIN QUERY PLAN " + statement, [None] * bindings).fetchall()
        for *_, detail in plan:
            words = str(detail).split()
            assert not (words[0] == "SCAN" and words[1] in tables), (name, detail)
            assert "AUTOMATIC" not in words, (name, detail)
    assert checked > 60


@pytest.mark.parametrize(
    "filter",
    [
        HeldFilter("form"),
        HeldFilter("form", since=1_000),
        HeldFilter("form", until=1_000),
        HeldFilter("form", process="lead", since=1_000),
        HeldFilter("form", line="7"),
        HeldFilter("form", since=1_000, may_go=True),
        HeldFilter("form", keys=(key(1), key(2))),
    ],
)
@pytest.mark.parametrize("after", [None, (5, key(1))])
async def test_what_waits_is_found_in_an_index_alone(
    store: SqliteStore, filter: HeldFilter, after: tuple[int, bytes] | None
) -> None:
    # Each row that is looked up only to be passed over costs five times what passing it does: of a
    # million half a second.
    statement, values = buffers.listed(filter, 50, after)
    plan = store._writer.db.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall()
    details = [str(detail) for *_, detail in plan]
    found = next(detail for detail in details if "held" in detail)
    if filter.keys is not None:
        assert "PRIMARY KEY (key=?)" in found, details
    else:
        assert "COVERING INDEX" in found or "held_by_line (source=? AND line=?)" in found, details


async def test_lists_of_integers_and_blobs_reach_sqlite(store: SqliteStore) -> None:
    db = store._writer.db
    assert (
        db.execute(
            "SELECT group_concat(value) FROM carray(?)", (apsw.carray(array("q", [1, -(2**62)])),)
        ).get
        == f"1,{-(2**62)}"
    )


async def test_counts_and_lists_of_many_held_requests_are_right(store: SqliteStore) -> None:
    await accept(store, *(held(number) for number in range(3_000)))
    assert await release(store, 1_000) == 1_000
    assert await store.counts() == {"ready": 1_000, "owned": 0, "held": 2_000, "stopped": 0}
    found = await claim(store, 5, 700)
    assert [run.key for run in found] == [key(number) for number in range(700)]
    assert len(await store.runs(RunFilter(status="moving"), 10_000)) == 700


async def test_a_claim_looks_at_about_as_many_runs_as_fit(store: SqliteStore) -> None:
    await accept(store, *(ready(number, number) for number in range(600)))
    looks: list[int] = []

    def note_look(_db: object, statement: str, values: Any) -> bool:
        if statement == claims.FIND_READY:
            looks.append(values[2])
        return True

    size = sum(len(part) for run in await claim(store, 0, 1) for part in (run.body, run.meta))
    store._writer.db.exec_trace = note_look
    assert len(await claim(store, 600, 512, max_bytes=70 * size)) < 80
    first, second = looks
    assert first == claims.FIRST_LOOK
    assert 6 <= second < 30
    looks.clear()
    assert len(await claim(store, 600, 512)) == 512
    assert looks == [claims.FIRST_LOOK, 512 - claims.FIRST_LOOK]


@pytest.mark.parametrize(("number", "size"), [(4, 4_000_000), (32, 500_000), (3_200, 5_000)])
async def test_claiming_takes_little_more_memory_than_the_runs(
    store: SqliteStore, number: int, size: int
) -> None:
    requests = [new_request(each, body=b"b" * size) for each in range(number)]
    runs = [NewRun(request.key, 1, "waiting", 0, owned=False) for request in requests]
    await accept(store, *map(Acceptance, requests, runs))
    total = number * size
    del requests
    before = apsw.memory_used()
    apsw.memory_high_water(True)
    tracemalloc.start()
    try:
        found = await claim(store, 0, number)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == number
    # Pages in caches, and what one pack takes on its way, come to less than these runs do.
    assert peak + apsw.memory_high_water() - before < 2 * total
