"""What cannot be moved is refused with its reason, and nothing has happened then; the backup of a
store in a database, which is taken beside nodes that serve.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from beltline.engine.ports import Store, StoreAway
from beltline.engine.records import RunFilter, TokenRecord
from beltline.stores import (
    NotAStore,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    is_shared,
    open_store,
)
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.transfer import postgres
from beltline.stores.transfer.moving import back_up, move
from beltline.stores.transfer.postgres import PostgresRows
from beltline.stores.transfer.sqlite import SqliteWriting
from beltline.stores.transfer.tables import MoveFailed, Row, Table
from tests.conformance.store_rows import (
    accept,
    claim,
    held,
    key,
    moving,
    new_request,
    ready,
    started,
)
from tests.integration.moved_stores import address, fill, filled, moved, opened, quiet, seen
from tests.servers.postgres import PostgresServer

KINDS = ("sqlite", "postgres")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of store in question; the other side is a SQLite store."""
    name: str = request.param
    return name


async def serving(url: str) -> Store:
    """The store with a node that lives."""
    sharing = Sharing(name="node-a", lease_ms=600_000)
    store = await open_store(url, exclusive=not is_shared(url), durable=False, sharing=sharing)
    await store.join()
    return store


async def is_empty(url: str) -> bool:
    store = await opened(url)
    try:
        return not (await store.runs(RunFilter(), 9) or await store.newest_versions())
    finally:
        await store.close()


async def test_a_store_that_is_served_is_not_moved(
    kind: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address(kind, "old", postgres_server, tmp_path)
    new = address("sqlite", "new", postgres_server, tmp_path)
    store = await serving(old)
    await accept(store, moving(1))
    who = f"process {os.getpid()}" if kind == "sqlite" else "node-a"
    with pytest.raises(StoreInUse, match=f"served by .*{who}"):
        await moved(old, new)
    await store.hand_over()
    await store.close()
    assert (await moved(old, new)).rows["run"] == 1


async def test_a_store_that_is_served_is_not_moved_to(
    kind: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address(kind, "new", postgres_server, tmp_path)
    await filled(old)
    store = await serving(new)
    with pytest.raises(StoreInUse, match="served by"):
        await moved(old, new)
    await store.hand_over()
    await store.close()
    assert (await moved(old, new)).rows["request"] == 16


async def test_a_node_that_is_dead_is_not_in_the_way(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address("postgres", "old", postgres_server, tmp_path)
    store = await opened(old)  # its lease has run out when it is given
    await store.join()
    await accept(store, moving(1))
    await store.close()
    assert (await moved(old, f"sqlite:///{tmp_path}/new.db")).recovered == 1


HOLDS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "run": lambda store: accept(store, ready(1)),
    "ended": lambda store: accept(
        store, started(new_request(1), status="completed", owned=False, rows=0)
    ),
    "held": lambda store: accept(store, held(1)),
    "version": lambda store: store.publish("deal-intake", "yaml", "steps: []", 5),
    "token": lambda store: store.put_token(TokenRecord(b"t" * 32, "admin", "", 1)),
    "value": lambda store: store.put_value("notes", "a", b"1", None),
}


@pytest.mark.parametrize("what", HOLDS)
async def test_a_store_that_is_not_empty_is_not_moved_to(
    kind: str, what: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address(kind, "new", postgres_server, tmp_path)
    await filled(old)
    store = await opened(new)
    await store.join()
    await HOLDS[what](store)
    await store.hand_over()
    await store.close()
    with pytest.raises(MoveFailed, match="is not empty"):
        await moved(old, new)


async def test_one_store_is_not_moved_to_itself(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = f"sqlite:///{tmp_path}/old.db"
    await filled(old)
    (tmp_path / "link.db").symlink_to(tmp_path / "old.db")
    for new in (old, f"sqlite:///{tmp_path}/../{tmp_path.name}/old.db", f"{old[:-6]}link.db"):
        with pytest.raises(MoveFailed, match="are the same store"):
            await moved(old, new)
    old = address("postgres", "old", postgres_server, tmp_path)
    await (await opened(old)).close()
    for new in (old, f"{old}?application_name=other", f"{old}?pooling=transaction"):
        with pytest.raises(MoveFailed, match="are the same store"):
            await moved(old, new)


async def test_where_no_store_is_there_is_nothing_to_move(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    (tmp_path / "empty.db").touch()
    empty = address("postgres", "empty", postgres_server, tmp_path)
    for old in (f"sqlite:///{tmp_path}/none.db", f"sqlite:///{tmp_path}/empty.db", empty):
        with pytest.raises(MoveFailed, match="there is no store"):
            await moved(old, new)
    with pytest.raises(MoveFailed, match="does not exist"):
        await moved(postgres_server.url("nowhere"), new)
    with pytest.raises(StoreAway, match="cannot be reached"):
        await moved("postgresql://beltline@127.0.0.1:1/hub", new)
    with pytest.raises(ValueError, match="no store can be opened"):
        await moved("mysql://hub", new)
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "new.db").exists()


async def test_what_is_damaged_foreign_or_newer_is_not_moved(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    (tmp_path / "damaged.db").write_bytes(b"no database " * 1_000)
    with closing(apsw.Connection(str(tmp_path / "foreign.db"))) as db:
        db.execute("CREATE TABLE thing (a)")
    await filled(f"sqlite:///{tmp_path}/newer.db")
    with closing(apsw.Connection(str(tmp_path / "newer.db"))) as db:
        db.pragma("user_version", 99)
    for name, error in (("damaged", NotAStore), ("foreign", NotAStore), ("newer", StoreTooNew)):
        with pytest.raises(error):
            await moved(f"sqlite:///{tmp_path}/{name}.db", new)
    older = address("postgres", "older", postgres_server, tmp_path)
    await (await opened(older)).close()
    postgres_server.ask("DELETE FROM beltline.migration", older.rsplit("/", 1)[1])
    with pytest.raises(MoveFailed, match="beltline doctor"):
        await moved(older, new)


async def test_text_that_postgresql_cannot_hold_is_named(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old, new = f"sqlite:///{tmp_path}/old.db", address("postgres", "new", postgres_server, tmp_path)
    store = await opened(old)
    await store.publish("deal-intake", "yaml", "steps: [\x00]", 5)
    await store.close()
    with pytest.raises(MoveFailed, match=r"version \(id 1\): PostgreSQL holds no text"):
        await moved(old, new)
    assert await is_empty(new)


async def test_a_store_that_cannot_be_made_safe_is_not_moved_to(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old, new = f"sqlite:///{tmp_path}/old.db", address("postgres", "new", postgres_server, tmp_path)
    await filled(old)
    with pytest.raises(StoreUnavailable, match="fsync switched off"):
        await move(old, new, tell=quiet)


async def test_a_failure_halfway_leaves_nothing(
    kind: str, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    new = address(kind, "new", postgres_server, tmp_path)
    await filled(old)
    writing = SqliteWriting if kind == "sqlite" else postgres.PostgresWriting
    original: Any = writing.write

    async def failing(self: Any, table: Table, rows: list[Row]) -> None:
        if table.name == "token":
            raise OSError("the machine is tired")
        await original(self, table, rows)

    monkeypatch.setattr(writing, "write", failing)
    with pytest.raises(OSError, match="tired"):
        await moved(old, new)
    monkeypatch.undo()
    assert await is_empty(new)
    assert (await moved(old, new)).rows["token"] == 2


async def test_a_connection_that_breaks_is_told_and_leaves_nothing(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"sqlite:///{tmp_path}/old.db", address("postgres", "new", postgres_server, tmp_path)
    await filled(old)
    original: Any = postgres.PostgresWriting.write

    async def cut(self: Any, table: Table, rows: list[Row]) -> None:
        if table.name == "token":
            self._db.terminate()
        await original(self, table, rows)

    monkeypatch.setattr(postgres.PostgresWriting, "write", cut)
    with pytest.raises(StoreAway, match="cannot be reached"):
        await moved(old, new)
    assert await is_empty(new)


@pytest.mark.parametrize("end", ["reading", "writing"])
async def test_no_node_joins_while_a_store_is_moved(
    end: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = address("postgres", "hub", postgres_server, tmp_path)
    store = await open_store(url, durable=False, sharing=Sharing(lease_ms=1_000))
    block: Any = postgres.reading_postgres if end == "reading" else postgres.writing_postgres
    try:
        async with block(read_address(url)):
            with pytest.raises(StoreAway):  # it asks for a second, and its hub asks again
                await store.join()
        await store.join()
    finally:
        await store.close()


async def test_no_hub_starts_on_a_file_that_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/new.db"
    await filled(old)
    original = SqliteWriting.seal

    async def tried(self: SqliteWriting, last_ids: dict[str, int]) -> None:
        for url in (old, new):
            with pytest.raises(StoreInUse):
                await open_store(url, exclusive=True)
        await original(self, last_ids)

    monkeypatch.setattr(SqliteWriting, "seal", tried)
    await moved(old, new)
    for url in (old, new):
        await (await open_store(url, exclusive=True)).close()


# Backups


def files(folder: Path) -> list[str]:
    """What there is of a backup, its unfinished part included."""
    return sorted(path.name for path in folder.glob("copy*"))


async def test_a_backup_is_taken_beside_a_node_that_serves(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = address("postgres", "hub", postgres_server, tmp_path)
    store = await serving(url)
    await fill(store)
    before = await seen(url)
    original: Any = PostgresRows.rows

    async def meanwhile(self: Any, table: Table) -> AsyncIterator[list[Row]]:
        if table.name == "request":  # the moment of the backup is behind us
            await accept(store, moving(90))
            await store.put_value("notes", "later", b"1", None)
        async for chunk in original(self, table):
            yield chunk

    monkeypatch.setattr(PostgresRows, "rows", meanwhile)
    await store.backup(str(tmp_path / "copy.db"))
    assert (await store.run(key(90)))[0].owned
    await store.hand_over()
    await store.close()
    assert files(tmp_path) == ["copy.db"]
    assert await seen(f"sqlite:///{tmp_path}/copy.db") == before
    copy = await opened(f"sqlite:///{tmp_path}/copy.db")
    assert await copy.join() == 2
    assert [run.key for run in await claim(copy, 0, 9, crashes=1)] == [key(10), key(11)]
    await copy.close()


async def test_a_backup_that_fails_leaves_no_file(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = address("postgres", "hub", postgres_server, tmp_path)
    await filled(url)

    async def cut(self: Any) -> None:
        self._db.terminate()

    target = tmp_path / "copy.db"
    with monkeypatch.context() as patched:
        patched.setattr(PostgresRows, "span", cut)
        with pytest.raises(StoreAway):
            await back_up(read_address(url), str(target))
    assert files(tmp_path) == []
    await back_up(read_address(url), str(target))
    size = target.stat().st_size
    with pytest.raises(FileExistsError, match="give it a new name"):
        await back_up(read_address(url), str(target))
    assert target.stat().st_size == size
    assert target.stat().st_mode & 0o777 == 0o600
