"""A PostgreSQL database at either end: one connection with one transaction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from beltline.engine.ids import time_of
from beltline.stores.errors import StoreInUse
from beltline.stores.postgres import partitions
from beltline.stores.postgres.address import Address
from beltline.stores.postgres.failures import AWAY, told
from beltline.stores.postgres.lane import Connection, connect
from beltline.stores.postgres.schema import migrations
from beltline.stores.postgres.sharing import DAY_MS
from beltline.stores.transfer.tables import (
    AS_IT_IS,
    CHUNK_BYTES,
    CHUNK_ROWS,
    NUMBERED,
    RECOVERED,
    TABLES,
    MoveFailed,
    Row,
    Table,
    not_empty,
    row_size,
)

ENDED = ("completed", "cancelled")
MOST_PARTITIONS = 30  # for the time before today; a longer time has wider ones

# Text is ordered by its bytes, whatever the database's own order is.
TEXTS = ("name", "schedule", "source")

# What is 0 or 1 elsewhere is true or false here.
FLAGS = ("is_head", "passes_stopped")

# A transaction that lasts for as long as the move does. Sorting many large rows would take disk:
# the indexes have them in order.
LONG = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
)
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"

# Reading beside nodes: ranges of time are not dropped meanwhile. No node waits for this.
KEEP_PARTITIONS = (
    "LOCK TABLE beltline.request, beltline.journal, beltline.finished IN ACCESS SHARE MODE"
)
# No node joins and none commits until the end of the transaction.
KEEP_NODES_OUT = {
    "old": "LOCK TABLE beltline.node IN SHARE MODE",
    "new": "LOCK TABLE beltline.node IN SHARE ROW EXCLUSIVE MODE",
}

# Nodes that live; their leases do not run while the server itself is down.
LIVE_NODES = (
    "SELECT name FROM beltline.node WHERE ended_at IS NULL AND"
    " greatest(lease_until, pg_postmaster_start_time() + lease_ms * interval '1 ms')"
    " > clock_timestamp() ORDER BY id"
)

# Tells whether two addresses lead to one database: no two servers start in the same microsecond.
WHICH = (
    "SELECT pg_postmaster_start_time()::text,"
    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database())"
)

IS_STORE = "SELECT to_regclass('beltline.migration') IS NOT NULL"
APPLIED = "SELECT number, phase FROM beltline.migration"
SPAN = (
    "SELECT (SELECT key FROM beltline.request ORDER BY key LIMIT 1),"
    " (SELECT key FROM beltline.request ORDER BY key DESC LIMIT 1)"
)
COUNT_OWNED = "SELECT count(*) FROM beltline.run WHERE owner IS NOT NULL"

# The last id that was given out, also where its row is gone.
LAST_ID = (
    "SELECT greatest((SELECT max(id) FROM beltline.{0}), 0,"
    " pg_sequence_last_value(pg_get_serial_sequence('beltline.{0}', 'id')::regclass))"
)
KEEP_LAST_ID = "SELECT setval(pg_get_serial_sequence('beltline.{0}', 'id'), $1)"

# A run that has ended and for which a message waits is an open one.
BACK_FOR_MESSAGES = (
    "WITH back AS (DELETE FROM beltline.finished WHERE key = ANY ($1::uuid[])"
    " RETURNING key, version_id, status)"
    " INSERT INTO beltline.run (key, version_id, status) SELECT key, version_id, status FROM back"
)


class PostgresRows:
    """Reads the rows; `how` says how the columns of open runs are read."""

    def __init__(self, db: Connection, address: Address, how: dict[str, str]) -> None:
        self._db = db
        self._shown = address.shown
        self._how = how

    async def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """See `Reading.rows`."""
        cursor = f"rows_of_{table.name}"
        with self._told():
            await self._db.execute(f"DECLARE {cursor} CURSOR FOR {select(table, self._how)}")
        fetch = f"FETCH {table.at_once} FROM {cursor}"
        chunk: list[Row] = []
        size = 0
        while True:
            with self._told():
                some = list(map(tuple, await self._db.fetch(fetch)))
            chunk += some
            size += sum(map(row_size, some))
            is_last = len(some) < table.at_once
            if chunk and (is_last or len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            if is_last:
                break
        with self._told():
            await self._db.execute(f"CLOSE {cursor}")

    async def span(self) -> tuple[bytes, bytes] | None:
        """See `Reading.span`."""
        with self._told():
            first, last = await self._db.fetchrow(SPAN)
        return None if first is None else (first, last)

    async def last_id(self, table: str) -> int:
        """See `Reading.last_id`."""
        with self._told():
            return int(await self._db.fetchval(LAST_ID.format(table)))

    async def owned(self) -> int:
        """See `Reading.owned`."""
        with self._told():
            return int(await self._db.fetchval(COUNT_OWNED))

    @contextmanager
    def _told(self) -> Iterator[None]:
        with failures_told(self._shown):
            yield


class PostgresWriting(PostgresRows):
    """Writes into the open transaction."""

    async def prepare(self, first: bytes, last: bytes) -> None:
        """Makes the partitions that the requests fall into, each with the time of at least a day.
        What is of no likely time goes into the default ones.
        """
        with self._told():
            now = int(await self._db.fetchval("SELECT beltline.now_ms()"))
            begin = time_of(first)
            end = min(time_of(last) + 1, now + partitions.AHEAD * DAY_MS)
            days = max(1, (end - begin) // DAY_MS)
            width = -(-days // MOST_PARTITIONS) * DAY_MS
            await partitions.cover(self._db, begin, end, width)

    async def write(self, table: Table, rows: list[Row]) -> None:
        """See `Writing.write`."""
        for row in rows:
            if any(isinstance(value, str) and "\0" in value for value in row):
                raise MoveFailed(
                    f"{table.name} ({table.named(row)}): PostgreSQL holds no text with a zero"
                    " character"
                )
        if table.name == "run":
            await self._write_runs(rows)
        elif table.name == "inbox":
            # A token recognises a message that is posted again; these all have their answers.
            await self._copy("inbox", (*table.columns, "token"), [(*row, _token()) for row in rows])
            with self._told():
                await self._db.execute(BACK_FOR_MESSAGES, [row[1] for row in rows])
        elif table.columns[-1] in FLAGS:
            flagged = [(*row[:-1], bool(row[-1])) for row in rows]
            await self._copy(table.name, table.columns, flagged)
        else:
            await self._copy(table.name, table.columns, rows)

    async def _write_runs(self, rows: list[Row]) -> None:
        """Those that have ended and those that are open stand in tables of their own."""
        ended: list[Row] = []
        still_open: list[Row] = []
        for key, version_id, status, ready_at, owner, crashes in rows:
            assert owner is None, "a run has no owner after a move"
            if status in ENDED and ready_at is None and not crashes:
                ended.append((key, version_id, status))
            else:
                still_open.append((key, version_id, status, ready_at, crashes))
        await self._copy("finished", ("key", "version_id", "status"), ended)
        columns = ("key", "version_id", "status", "ready_at", "crashes")
        await self._copy("run", columns, still_open)

    async def _copy(self, name: str, columns: tuple[str, ...], rows: list[Row]) -> None:
        if rows:
            with self._told():
                await self._db.copy_records_to_table(
                    name, schema_name="beltline", columns=columns, records=rows
                )

    async def seal(self, last_ids: dict[str, int]) -> None:
        """See `Writing.seal`. The planner hears of the rows at once: it looks at no partitioned
        table by itself.
        """
        with self._told():
            for name in NUMBERED:
                if last_ids[name]:
                    await self._db.fetchval(KEEP_LAST_ID.format(name), last_ids[name])
            for table in (*(table.name for table in TABLES), "finished"):
                await self._db.execute(f"ANALYZE beltline.{table}")


def select(table: Table, how: dict[str, str]) -> str:
    """The statement that reads a table in the order of its key."""
    order = ", ".join(
        f'{column} COLLATE "C"' if column in TEXTS else column
        for column in table.columns[: table.key]
    )
    if table.name != "run":
        return f"SELECT {', '.join(table.columns)} FROM beltline.{table.name} ORDER BY {order}"
    columns = ", ".join(f"{how.get(column, column)} AS {column}" for column in table.columns)
    return (
        f"SELECT {columns} FROM beltline.run"
        " UNION ALL SELECT key, version_id, status, NULL, NULL, 0 FROM beltline.finished"
        f" ORDER BY {order}"
    )


@asynccontextmanager
async def reading_postgres(
    address: Address, *, beside_nodes: bool = False
) -> AsyncIterator[PostgresRows]:
    """The store in a database as of one moment. Either nobody serves it meanwhile, and its runs are
    read as recovered; or nodes do, and the runs are read as they are. Raises `StoreInUse`,
    `StoreAway`, and `MoveFailed` where there is no store.
    """
    async with _connected(address) as db:
        with failures_told(address.shown):
            await _check_store(db, address)
            if not beside_nodes:
                await _refuse_live_nodes(db, address)
            transaction = db.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            await db.execute(LONG)
            await db.execute(LOCK_TIMEOUT)
            # The locks before the first look: with that the moment is settled.
            await db.execute(KEEP_PARTITIONS)
            if not beside_nodes:
                await db.execute(KEEP_NODES_OUT["old"])
                await _refuse_live_nodes(db, address)
        yield PostgresRows(db, address, AS_IT_IS if beside_nodes else RECOVERED)


@asynccontextmanager
async def writing_postgres(address: Address) -> AsyncIterator[PostgresWriting]:
    """The store in a database that has its schema, and must be empty. What the block writes is
    committed at its end, or nothing of it where it raises. Raises `StoreInUse`, `StoreAway` and
    `MoveFailed`.
    """
    async with _connected(address) as db:
        with failures_told(address.shown):
            await _refuse_live_nodes(db, address)
            transaction = db.transaction()
            await transaction.start()
            await db.execute(LONG)
            await db.execute(LOCK_TIMEOUT)
            await db.execute(KEEP_NODES_OUT["new"])
            await _refuse_live_nodes(db, address)
            for table in (*(table.name for table in TABLES), "finished"):
                if await db.fetchval(f"SELECT EXISTS (SELECT FROM beltline.{table})"):
                    raise not_empty(address.shown, table)
        yield PostgresWriting(db, address, AS_IT_IS)
        with failures_told(address.shown):
            try:
                await transaction.commit()
            except AWAY as error:
                raise MoveFailed(
                    f"the connection to {address.shown} broke while everything was being committed"
                    f" ({error}). Move again: if the new store is not empty then, it has everything"
                ) from error


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Connection]:
    """A connection; what is not committed when it is closed has not happened."""
    with failures_told(address.shown):
        db = await connect(address)
    try:
        yield db
    finally:
        with contextlib.suppress(asyncpg.PostgresError, *AWAY):
            await db.close(timeout=1)


async def same_database(one: Address, other: Address) -> bool:
    """Whether two addresses lead to one database. Raises `StoreAway`."""
    found = []
    for address in (one, other):
        async with _connected(address) as db:
            with failures_told(address.shown):
                found.append(tuple(await db.fetchrow(WHICH)))
    return found[0] == found[1]


@contextmanager
def failures_told(shown: str) -> Iterator[None]:
    """Errors of the database as people can read them."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise StoreInUse(f"the store {shown} is in use by another program: try again") from error
    except (asyncpg.PostgresError, *AWAY) as error:
        failure = told(error)
        if failure is error:
            raise MoveFailed(f"the store {shown} could not be used: {error}") from error
        raise failure from error


async def _check_store(db: Connection, address: Address) -> None:
    if not await db.fetchval(IS_STORE):
        raise MoveFailed(f"there is no store in {address.shown}")
    applied = set(map(tuple, await db.fetch(APPLIED)))
    if any((one.number, one.phase) not in applied for one in migrations() if one.phase == "expand"):
        raise MoveFailed(
            f"the store {address.shown} is of an older version: bring it up to date first, with"
            f" beltline doctor --store {address.shown}"
        )


async def _refuse_live_nodes(db: Connection, address: Address) -> None:
    names = [name for (name,) in await db.fetch(LIVE_NODES)]
    if names:
        raise StoreInUse(
            f"the store {address.shown} is served by {', '.join(names)}: stop that first"
        )


def _token() -> bytes:
    return os.urandom(16)
