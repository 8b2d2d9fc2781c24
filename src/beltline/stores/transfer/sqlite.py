"""A SQLite file at either end. Everything happens in one thread, so that the event loop goes on and
closing waits for what is under way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import apsw

from beltline.stores.errors import NotAStore
from beltline.stores.sqlite import schema
from beltline.stores.sqlite.connection import (
    create_file,
    open_reader,
    open_writer,
    set_common,
    sync_folder,
)
from beltline.stores.sqlite.lock import ServerLock
from beltline.stores.sqlite.store import bring_up_to_date
from beltline.stores.transfer.tables import (
    AS_IT_IS,
    RECOVERED,
    TABLES,
    MoveFailed,
    Row,
    Table,
    chunks,
    not_empty,
)

T = TypeVar("T")

COPY_CACHE_KIB = 65_536  # of a file that nobody else reads while it is written

# Text that may hold any character is carried as its bytes.
BYTES_OF = {
    "held": ("line",),
    "identity": ("identity",),
    "line": ("line",),
    "remembered": ("space", "key"),
}

# How the rows of a file are read that an older hub wrote, by the column that it has not.
OLDER = {
    "held": (
        "place",
        (
            "SELECT held.key, held.source, process, x'', accepted_at, NULL, 1"
            " FROM held JOIN request ON request.key = held.key ORDER BY held.key"
        ),
    ),
    "allowance": ("every_ms", "SELECT name, last_at, 0 FROM allowance ORDER BY name"),
}

# What is kept of an identity beside what is carried: when its request came in.
ADD_IDENTITY = (
    "INSERT INTO identity (source, identity, until, key, body_hash, accepted_at)"
    " VALUES (?1, CAST(?2 AS TEXT), ?3, ?4, ?5,"
    " coalesce((SELECT accepted_at FROM request WHERE request.key = ?4), 0))"
)

TABLES_THERE = "SELECT name FROM sqlite_schema WHERE type = 'table'"
COLUMNS_THERE = (
    "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c"
    " WHERE t.type = 'table'"
)
SPAN = "SELECT (SELECT min(key) FROM request), (SELECT max(key) FROM request)"
COUNT_OWNED = "SELECT count(*) FROM run WHERE owner IS NOT NULL"

# The last id that was given out, also where its row is gone.
LAST_ID = (
    "SELECT max(coalesce((SELECT max(id) FROM {0}), 0),"
    " coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{0}'), 0))"
)
FORGET_LAST_ID = "DELETE FROM sqlite_sequence WHERE name = ?"
KEEP_LAST_ID = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
COUNTED = ("inbox",)  # the others go on from the greatest id that is there


class SqliteThread:
    """The thread of one file; errors come out of it as people can read them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="transfer")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, after all that was asked before."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise NotAStore(
                f"the file {self._path} is not a store of the hub, or it is damaged ({error})"
            ) from error
        except apsw.Error as error:
            raise MoveFailed(f"the store {self._path} could not be used: {error}") from error

    @asynccontextmanager
    async def inside(self, block: AbstractContextManager[T]) -> AsyncIterator[T]:
        """A block that is entered and left in the thread."""
        value = await self.run(block.__enter__)
        try:
            yield value
        except BaseException as error:
            failed = (type(error), error, error.__traceback__)
            await self.run(lambda: block.__exit__(*failed))
            raise
        else:
            await self.run(lambda: block.__exit__(None, None, None))
        finally:
            self._executor.shutdown(wait=False)


class SqliteRows:
    """Reads the rows; `how` says how the columns of runs are read."""

    def __init__(self, db: apsw.Connection, thread: SqliteThread, how: dict[str, str]) -> None:
        self._db = db
        self._thread = thread
        self._how = how
        # A store that an older hub wrote may lack a table, which holds nothing then.
        self._there = {name for (name,) in db.execute(TABLES_THERE)}
        self._columns = set(db.execute(COLUMNS_THERE).fetchall())

    async def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """See `Reading.rows`."""
        if table.name not in self._there:
            return
        statement = self._select(table)
        found = await self._thread.run(lambda: chunks(self._db.execute(statement)))
        while chunk := await self._thread.run(lambda: next(found, None)):
            yield chunk

    def _select(self, table: Table) -> str:
        column, older = OLDER.get(table.name, ("", ""))
        if column and (table.name, column) not in self._columns:
            return older
        return select(table, self._how)

    async def span(self) -> tuple[bytes, bytes] | None:
        """See `Reading.span`."""
        first, last = await self._thread.run(lambda: self._db.execute(SPAN).get)
        return None if first is None else (first, last)

    async def last_id(self, table: str) -> int:
        """See `Reading.last_id`."""
        return int(await self._thread.run(lambda: self._db.execute(LAST_ID.format(table)).get))

    async def owned(self) -> int:
        """See `Reading.owned`."""
        return int(await self._thread.run(lambda: self._db.execute(COUNT_OWNED).get))


class SqliteWriting(SqliteRows):
    """Writes into the open transaction."""

    async def prepare(self, first: bytes, last: bytes) -> None:
        """Nothing is to be made: the tables are whole."""

    async def write(self, table: Table, rows: list[Row]) -> None:
        """See `Writing.write`."""
        statement = insert(table)
        await self._thread.run(lambda: self._db.executemany(statement, rows))

    async def seal(self, last_ids: dict[str, int]) -> None:
        """See `Writing.seal`."""

        def keep() -> None:
            for name in COUNTED:
                self._db.execute(FORGET_LAST_ID, (name,))
                self._db.execute(KEEP_LAST_ID, (name, last_ids[name]))

        await self._thread.run(keep)


def select(table: Table, how: dict[str, str]) -> str:
    """The statement that reads a table in the order of its key."""
    read = how if table.name == "run" else {}
    as_bytes = {column: f"CAST({column} AS BLOB)" for column in BYTES_OF.get(table.name, ())}
    columns = ", ".join(
        as_bytes.get(column) or read.get(column) or column for column in table.columns
    )
    order = ", ".join(f"{table.name}.{column}" for column in table.columns[: table.key])
    return f"SELECT {columns} FROM {table.name} ORDER BY {order}"


def insert(table: Table) -> str:
    """The statement that adds a row."""
    if table.name == "identity":
        return ADD_IDENTITY
    as_text = BYTES_OF.get(table.name, ())
    places = ", ".join("CAST(? AS TEXT)" if column in as_text else "?" for column in table.columns)
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"


@asynccontextmanager
async def reading_sqlite(path: Path) -> AsyncIterator[SqliteRows]:
    """The store in a file as of one moment; nobody serves it meanwhile. Raises `StoreInUse`,
    `NotAStore`, and `MoveFailed` where there is none.
    """
    thread = SqliteThread(path)
    async with thread.inside(_snapshot(path)) as db:
        yield await thread.run(lambda: SqliteRows(db, thread, RECOVERED))


@contextmanager
def _snapshot(path: Path) -> Iterator[apsw.Connection]:
    if not path.is_file():
        raise MoveFailed(f"there is no store at {path}")
    lock = ServerLock(path)
    try:
        log = path.with_name(path.name + "-wal")
        has_log = log.exists() and log.stat().st_size > 0
        db = open_reader(path, vfs=None)
        try:
            if has_log:  # what an unclean end left: the files stay as they are
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            schema.is_current(db, path)  # refuses what is newer, or no store at all
            if not db.pragma("user_version"):
                raise MoveFailed(f"there is no store at {path}: the database is empty")
            db.execute("BEGIN")
            yield db
        finally:
            db.close()
    finally:
        lock.release()


@asynccontextmanager
async def writing_sqlite(path: Path, *, durable: bool) -> AsyncIterator[SqliteWriting]:
    """The store in a file, made where there is none, which must be empty. What the block writes is
    committed at its end, or nothing of it where it raises. Raises `StoreUnavailable` and its kin.
    """
    thread = SqliteThread(path)
    async with thread.inside(_transaction(path, durable=durable)) as db:
        yield await thread.run(lambda: SqliteWriting(db, thread, AS_IT_IS))


@contextmanager
def _transaction(path: Path, *, durable: bool) -> Iterator[apsw.Connection]:
    create_file(path)
    lock = ServerLock(path)
    try:
        db = open_writer(path, durable=durable, vfs=None)
        try:
            bring_up_to_date(db, path, locked=True)
            db.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                if db.execute(f"SELECT EXISTS (SELECT 1 FROM {table.name})").get:
                    raise not_empty(str(path), table.name)
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # what is not committed is rolled back
        sync_folder(path)
    finally:
        lock.release()


@asynccontextmanager
async def writing_copy(path: Path) -> AsyncIterator[SqliteWriting]:
    """A new file, which appears under its name at the end of the block, whole and durable, or not
    at all where the block raises. Raises `FileExistsError`.
    """
    thread = SqliteThread(path)
    async with thread.inside(_copy(path)) as db:
        yield await thread.run(lambda: SqliteWriting(db, thread, AS_IT_IS))


@contextmanager
def _copy(path: Path) -> Iterator[apsw.Connection]:
    if path.exists():
        raise FileExistsError(f"the backup {path} exists: give it a new name")
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        db = apsw.Connection(str(unfinished))
        try:
            # A file that is thrown away at any failure needs no journal, and is synced once.
            db.pragma("journal_mode", "OFF")
            db.pragma("synchronous", "OFF")
            db.pragma("cache_size", -COPY_CACHE_KIB)
            set_common(db)
            schema.migrate(db, unfinished)
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()
        whole = os.open(unfinished, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(whole)
        finally:
            os.close(whole)
        os.link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path)
