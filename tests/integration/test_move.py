"""A move carries everything from one kind of store to another, compares it, and is whole or not."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from beltline.engine.ids import RunIds, id_of
from beltline.engine.records import Acceptance, Batch, Repeat, RunFilter
from beltline.stores.sqlite import schema as sqlite_schema
from beltline.stores.transfer import tables
from beltline.stores.transfer.postgres import PostgresRows, PostgresWriting
from beltline.stores.transfer.sqlite import SqliteRows, SqliteWriting
from beltline.stores.transfer.tables import TABLES, MoveFailed, Row, Table
from tests.conformance.store_rows import (
    accept,
    claim,
    key,
    new_request,
    ready,
    release,
    started,
)
from tests.integration.moved_stores import (
    LARGE,
    LONG_MS,
    address,
    filled,
    moved,
    numbers_of,
    opened,
    seen,
)
from tests.servers.postgres import PostgresServer

KINDS = ("sqlite", "postgres")
LONG_AGO = 1_700_000_000_000


@pytest.mark.parametrize("kinds", [(a, b) for a in KINDS for b in KINDS], ids="-".join)
async def test_everything_is_moved(
    kinds: tuple[str, str], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old, new = (
        address(kind, name, postgres_server, tmp_path)
        for kind, name in zip(kinds, ("old", "new"), strict=True)
    )
    await filled(old)
    before = await seen(old)
    result = await moved(old, new)
    assert await seen(new) == before
    assert await seen(old) == before
    assert result.recovered == 0
    assert result.rows == {
        "version": 2,
        "request": 16,
        "run": 13,
        "journal": 15,
        "held": 3,
        "line": 0,
        "due": 0,
        "identity": 1,
        "inbox": 4,
        "allowance": 1,
        "allowance_use": 2,
        "firing": 1,
        "remembered": 3,
        "token": 2,
        "source_state": 1,
        "verdict": 2,
    }


async def test_a_hub_goes_to_postgresql_and_back(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old, new, back = (
        address(kind, name, postgres_server, tmp_path)
        for kind, name in (("sqlite", "old"), ("postgres", "new"), ("sqlite", "back"))
    )
    await filled(old)
    before = await seen(old)
    await moved(old, new)
    await moved(new, back)
    assert await seen(back) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_the_new_store_goes_on_where_the_old_one_was(
    kind: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    other = KINDS[1 - KINDS.index(kind)]
    old = address(other, "old", postgres_server, tmp_path)
    new = address(kind, "new", postgres_server, tmp_path)
    await filled(old)
    store = await opened(old)  # the last message is decided on: its id must not come again
    last = await store.post(key(1), b"decided", 600)
    await store.join()
    await store.commit(Batch(messages_done=[last]))
    await store.hand_over()
    await store.close()
    await moved(old, new)
    store = await opened(new)
    await store.join()
    runs = {run.key: run for run in await claim(store, 900, 99)}
    assert numbers_of(list(runs.values()))[:2] == [10, 11]  # what was handed over is ready at once
    assert [message.body for message in runs[key(14)].messages] == [b"retry", b"cancel"]
    assert [message.body for message in runs[key(16)].messages] == [b"late"]
    assert await store.post(key(1), b"next", 600) == last + 1
    version = await store.publish("call-back", "yaml", "one", 9)
    assert version.id == 3
    assert (await store.publish("deal-intake", "yaml", "three", 9)).version == 3
    repeat = new_request(40, identity="lead \x00 \U0001f600", identity_until=9_000, body_hash=b"h")
    answers = await store.commit(Batch(acceptances=[started(repeat)]))
    assert answers == [Repeat(key(20), same_body=True)]
    assert (await store.allow("portal", 9, 5, LONG_MS)).granted == 2
    assert not await store.fire("nightly", 500, ready(41))
    assert await release(store, 99, version=3) == 0  # it is paused
    await store.set_source_state("site-form", "released")
    assert await release(store, 99, version=3, now=0) == 2
    assert [run.key for run in await claim(store, 0, 99)] == [key(3), key(4)]
    await store.close()


@pytest.mark.parametrize("kinds", [("sqlite", "postgres"), ("postgres", "sqlite")], ids="-".join)
async def test_runs_that_an_unclean_end_left_are_let_go_of_with_a_crash(
    kinds: tuple[str, str], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old, new = (
        address(kind, name, postgres_server, tmp_path)
        for kind, name in zip(kinds, ("old", "new"), strict=True)
    )
    await filled(old, cleanly=False)
    assert (await moved(old, new)).recovered == 2
    assert (await seen(old))["counts"]["owned"] == 2
    store = await opened(new)
    assert await store.join() == 0
    found = await claim(store, 0, 99, crashes=1)
    assert [(run.key, run.crashes) for run in found] == [(key(10), 1), (key(11), 1)]
    await store.close()


async def test_what_ended_is_apart_from_what_is_open_and_in_partitions_of_its_time(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address("postgres", "new", postgres_server, tmp_path)
    store = await opened(old)
    await store.join()
    ids = RunIds(lambda length: b"r" * length)
    days = [0, 1, 1, 400]
    for day in days:
        made = ids.new_key(LONG_AGO - 86_400_000 * day)
        done = started(new_request(1), status="completed", owned=False, rows=1)
        await accept(store, _with_key(done, made))
    await accept(store, _with_key(ready(1), ids.new_key(LONG_AGO)))
    await store.hand_over()
    await store.close()
    await moved(old, new)

    count = "SELECT count(*) FROM beltline."
    database = new.rsplit("/", 1)[1]
    for table, number in (
        *(("finished", 4), ("run", 1), ("request", 5)),
        *(("request_default", 0), ("journal_default", 0), ("finished_default", 0)),
    ):
        assert postgres_server.ask(count + table, database) == str(number)


def _with_key(acceptance: Acceptance, made: bytes) -> Acceptance:
    """The same under another key."""
    assert acceptance.run is not None
    return Acceptance(
        replace(acceptance.request, key=made),
        replace(acceptance.run, key=made),
        [replace(row, key=made) for row in acceptance.rows],
    )


async def test_a_run_that_ended_and_waits_for_something_is_open(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    new = address("postgres", "new", postgres_server, tmp_path)
    await filled(f"sqlite:///{tmp_path}/old.db")
    with closing(apsw.Connection(str(tmp_path / "old.db"))) as db:
        # Completed with a message, and completed with a crash: no hub leaves them so.
        db.execute("UPDATE run SET ready_at = NULL WHERE key = ?", (key(16),))
        db.execute("UPDATE run SET crashes = 2 WHERE key = ?", (key(22),))
    await moved(f"sqlite:///{tmp_path}/old.db", new)
    ended = postgres_server.ask("SELECT key FROM beltline.finished", new.rsplit("/", 1)[1])
    assert ended.split() == [id_of(key(12)), id_of(key(13))]


@pytest.mark.parametrize("cleanly", [True, False])
async def test_the_old_file_stays_as_it_was(cleanly: bool, tmp_path: Path) -> None:
    await filled(f"sqlite:///{tmp_path}/hub.db")
    folder = tmp_path / "left"
    folder.mkdir()
    store = await opened(f"sqlite:///{tmp_path}/hub.db")
    await store.put_value("notes", "last", b"1", None)
    if cleanly:
        await store.close()
    for name in ("hub.db", "hub.db-wal"):  # as a kill leaves them: the log is not copied back
        if (tmp_path / name).exists():
            shutil.copy(tmp_path / name, folder / name)
    await store.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert ("hub.db-wal" in before) == (not cleanly)
    assert (await moved(f"sqlite:///{folder}/hub.db", f"sqlite:///{tmp_path}/new.db")).rows[
        "remembered"
    ] == 4
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"hub.db.lock", "hub.db-shm"}


async def test_a_store_of_the_first_version_is_moved(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with closing(apsw.Connection(str(tmp_path / "first.db"))) as db:
        db.execute(sqlite_schema.migrations()[1])
        db.pragma("application_id", sqlite_schema.APPLICATION_ID)
        db.pragma("user_version", 1)
        db.execute("INSERT INTO source_state VALUES ('calls', 'paused')")
    new = address("postgres", "new", postgres_server, tmp_path)
    assert sum((await moved(f"sqlite:///{tmp_path}/first.db", new)).rows.values()) == 1
    store = await opened(new)
    assert await store.source_state() == {"calls": "paused"}
    await store.close()


# Who adds a table or a column adds it to `TABLES`, or here with the reason.
LEFT_OUT = {
    "identity.accepted_at",  # its request has it, and nobody reads it
    "bucket",  # a new store begins with empty ones
    "bucket_share",
    "inbox.token",  # recognises a post that is repeated before its answer came
    "run.claim",  # of the claim that took it; nothing is owned after a move
    "run.epoch",  # unused
    "migration",  # each store has its own
    "node",  # memberships end with the store
    "node_claims",
    "sqlite_sequence",  # see `last_id`
}


async def test_every_table_and_column_of_the_schemas_is_moved(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    known = {f"{table.name}.{column}" for table in TABLES for column in table.columns}
    known |= {f"finished.{column}" for column in ("key", "version_id", "status")}
    url = address("postgres", "new", postgres_server, tmp_path)
    await (await opened(url)).close()
    found = set(
        postgres_server.ask(
            "SELECT c.relname || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a"
            " ON a.attrelid = c.oid WHERE c.relnamespace = 'beltline'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0"
            " AND NOT a.attisdropped",
            url.rsplit("/", 1)[1],
        ).split()
    )
    await (await opened(f"sqlite:///{tmp_path}/new.db")).close()
    with closing(apsw.Connection(str(tmp_path / "new.db"))) as db:
        found |= {
            f"{table}.{column}"
            for table, column in db.execute(
                "SELECT s.name, c.name FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c"
                " WHERE s.type = 'table'"
            )
        }
    left = {name for name in found if {name, name.split(".")[0]} & LEFT_OUT}
    assert found - left == known


def test_rows_are_cut_by_number_and_by_bytes() -> None:
    small = [(number, b"") for number in range(tables.CHUNK_ROWS + 1)]
    assert [len(chunk) for chunk in tables.chunks(small)] == [tables.CHUNK_ROWS, 1]
    large = [(number, LARGE) for number in range(10)]
    assert [len(chunk) for chunk in tables.chunks(large)] == [4, 4, 2]
    assert [row for chunk in tables.chunks(iter(large)) for row in chunk] == large
    assert list(tables.chunks([])) == []


async def test_many_large_requests_are_moved_in_chunks(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address("postgres", "new", postgres_server, tmp_path)
    back = address("sqlite", "back", postgres_server, tmp_path)
    store = await opened(old)
    await store.join()
    for number in range(80):  # more than one look at the database gives
        request = new_request(number, body=LARGE)
        await accept(store, started(request, status="completed", owned=False, rows=0))
    await store.hand_over()
    await store.close()
    written: list[int] = []
    for writing in (SqliteWriting, PostgresWriting):
        monkeypatch.setattr(writing, "write", _measured(writing.write, written))
    assert (await moved(old, new)).rows["request"] == 80
    assert (await moved(new, back)).rows["request"] == 80
    assert sum(written) > 160 * len(LARGE)
    # A chunk ends with the row that makes it full; a look at a database gives 64 rows.
    assert max(written) < tables.CHUNK_BYTES + 65 * len(LARGE)


def _measured(write: Any, written: list[int]) -> Any:
    async def measured(self: Any, table: Table, rows: list[Row]) -> None:
        written.append(sum(map(tables.row_size, rows)))
        await write(self, table, rows)

    return measured


# Differences


def _changed(row: Row) -> list[Row]:
    return [(*row[:-1], _other(row[-1]))]


def _lost(row: Row) -> list[Row]:
    return []


def _twice(row: Row) -> list[Row]:
    return [row, (*row[:-1], _other(row[-1]))]


def _other(value: Any) -> Any:
    return value + b"!" if isinstance(value, bytes) else (value or 0) + 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_changed, "differs in {}"),
        (_lost, "is only in the old store"),
        (_twice, "is only in the new store"),
    ],
    ids=["changed", "lost", "twice"],
)
@pytest.mark.parametrize(
    ("kind", "name", "column", "spoiled"),
    [
        ("sqlite", "request", "meta", (key(30),)),  # the last one
        ("postgres", "request", "meta", (key(30),)),
        ("postgres", "run", "crashes", (key(12),)),
        ("postgres", "run", "crashes", (key(21),)),
        ("postgres", "journal", "entry", (key(12), 1)),
    ],
    ids=["to-a-file", "request", "ended", "open", "journal"],
)
async def test_a_difference_is_found_and_nothing_is_moved(
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    name: str,
    column: str,
    spoiled: tuple[Any, ...],
    spoil: Any,
    said: str,
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address(kind, "new", postgres_server, tmp_path)
    await filled(old)
    rows = PostgresRows if kind == "postgres" else SqliteRows
    writing = PostgresWriting if kind == "postgres" else SqliteWriting
    original: Any = rows.rows

    async def worse(self: Any, table: Table) -> AsyncIterator[list[Row]]:
        is_spoiled = isinstance(self, writing) and table.name == name
        async for chunk in original(self, table):
            yield [
                made
                for row in chunk
                for made in (spoil(row) if is_spoiled and row[: table.key] == spoiled else [row])
            ]

    monkeypatch.setattr(rows, "rows", worse)
    expected = f"in {name} the row with .*{id_of(spoiled[0])}.* {said.format(column)}"
    with pytest.raises(MoveFailed, match=expected):
        await moved(old, new)
    monkeypatch.undo()
    store = await opened(new)
    assert await store.runs(RunFilter(), 9) == []
    await store.close()
    assert (await moved(old, new)).rows["request"] == 16
