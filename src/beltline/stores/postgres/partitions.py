"""Ranges of time as partitions of the tables that only grow, and their end.

Keys rise with time, so the rows of a day are a range of keys. A partition is made two of its widths
ahead; what falls into none (a key of the past, brought by a move) lies in the default partition. A
whole range is dropped when it is older than what is kept. Runs in it that have not ended, and
requests that are still held, stay: they are put into the default partitions first, and are swept
from there some time after they have ended.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from beltline.stores.postgres.lane import Connection
from beltline.stores.postgres.sharing import DAY_MS

AHEAD = 2  # widths that are made in advance: a node may be down for one
TABLES = {"request": "key", "journal": "run", "finished": "key"}
SWEEP_MOST = 10_000  # runs that one statement removes
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '400ms'"  # who waits for a table holds up all others
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('beltline partitions'))"

# The partitions there are, by their names, which hold the time at which each begins.
NAMES = (
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class AS child ON child.oid = inhrelid"
    " WHERE inhparent = 'beltline.request'::regclass AND child.relname <> 'request_default'"
    " ORDER BY child.relname"
)


class Range(msgspec.Struct, frozen=True, order=True):
    """A range of time: from `begin` on, before `end`, in Unix milliseconds."""

    begin: int
    end: int

    @property
    def suffix(self) -> str:
        """What the names of its partitions end with: both times, to be read by people and here."""
        return "_".join(
            f"{datetime.fromtimestamp(at / 1_000, UTC):%Y%m%dt%H%M%S}"
            for at in (self.begin, self.end)
        )


def range_of(name: str) -> Range:
    """The range in a partition's name."""
    moments = name.split("_")[-2:]
    begin, end = (
        round(datetime.strptime(moment + "+0000", "%Y%m%dt%H%M%S%z").timestamp() * 1_000)
        for moment in moments
    )
    return Range(begin, end)


def bound(at: int) -> str:
    """The least key of a time, as SQL."""
    digits = f"{at:012x}"
    return f"'{digits[:8]}-{digits[8:]}-0000-0000-000000000000'"


def missing(there: list[Range], begin: int, end: int, width: int) -> list[Range]:
    """The ranges of this width that are to be made, so that everything from `begin` until `end` is
    covered; where others stand in the way, shorter ones.
    """
    wanted: list[Range] = []
    at = begin // width * width
    while at < end:
        piece = Range(at, at + width)
        for other in sorted(there):
            if other.begin <= piece.begin < other.end:
                piece = Range(other.end, max(piece.end, other.end))
            elif piece.begin < other.begin < piece.end:
                wanted.append(Range(piece.begin, other.begin))
                piece = Range(other.end, max(piece.end, other.end))
        if piece.begin < piece.end:
            wanted.append(piece)
        at += width
    return [piece for piece in wanted if piece.begin < end]


async def there(db: Connection) -> list[Range]:
    """The ranges that have partitions."""
    return [range_of(name) for (name,) in await db.fetch(NAMES)]


async def cover(db: Connection, from_ms: int, until_ms: int, width_ms: int = DAY_MS) -> int:
    """Makes the partitions that are missing for a span of time; gives their number. What the
    default partitions hold of it moves into them. Opens a transaction.
    """
    if not missing(await there(db), from_ms, until_ms, width_ms):
        return 0
    async with db.transaction():
        await db.execute(LOCK_TIMEOUT)
        await db.execute(ONE_AT_A_TIME)
        pieces = missing(await there(db), from_ms, until_ms, width_ms)
        for piece in pieces:
            for table in TABLES:
                await db.execute(_make(table, piece))
    return len(pieces)


def _make(table: str, piece: Range) -> str:
    """A table of its own is filled and attached: that holds up writers less than making a
    partition outright.
    """
    key, name = TABLES[table], f"beltline.{table}_{piece.suffix}"
    within = f"{key} >= {bound(piece.begin)} AND {key} < {bound(piece.end)}"
    return (
        f"CREATE TABLE {name} (LIKE beltline.{table} INCLUDING ALL);"
        f" WITH moved AS (DELETE FROM beltline.{table}_default WHERE {within} RETURNING *)"
        f" INSERT INTO {name} SELECT * FROM moved;"
        f" ALTER TABLE beltline.{table} ATTACH PARTITION {name}"
        f" FOR VALUES FROM ({bound(piece.begin)}) TO ({bound(piece.end)})"
    )


async def drop_before(db: Connection, time_ms: int) -> int:
    """Drops every range that ends at `time_ms` or before it; gives their number. What of it is
    still open stays, in the default partitions. Opens a transaction for each range.
    """
    old = [piece for piece in await there(db) if piece.end <= time_ms]
    for piece in old:
        async with db.transaction():
            await db.execute(LOCK_TIMEOUT)
            await db.execute(ONE_AT_A_TIME)
            if piece in await there(db):
                await db.execute(_drop(piece))
    return len(old)


def _drop(piece: Range) -> str:
    """Takes the partitions off, puts back what is open, and drops the rest."""
    statements = []
    for table in ("finished", "request", "journal"):
        name = f"beltline.{table}_{piece.suffix}"
        statements.append(f"ALTER TABLE beltline.{table} DETACH PARTITION {name}")
        if table != "finished":
            key = TABLES[table]
            statements.append(
                f"INSERT INTO beltline.{table} SELECT old.* FROM {name} AS old"
                f" WHERE EXISTS (SELECT FROM beltline.run WHERE run.key = old.{key})"
                f" OR EXISTS (SELECT FROM beltline.held WHERE held.key = old.{key})"
            )
        statements.append(f"DROP TABLE {name}")
    return "; ".join(statements)


async def sweep_before(db: Connection, time_ms: int) -> int:
    """Removes ended runs from the default partitions whose keys are older than `time_ms`, the
    oldest first and not more than `SWEEP_MOST`; gives their number.
    """
    return int(
        await db.fetchval(
            "WITH old AS (SELECT key FROM beltline.finished_default"
            f" WHERE key < {bound(time_ms)} ORDER BY key LIMIT {SWEEP_MOST}),"
            " ended AS (DELETE FROM beltline.finished_default USING old"
            " WHERE finished_default.key = old.key RETURNING finished_default.key),"
            " decisions AS (DELETE FROM beltline.journal_default USING ended"
            " WHERE journal_default.run = ended.key),"
            " requests AS (DELETE FROM beltline.request_default USING ended"
            " WHERE request_default.key = ended.key) SELECT count(*) FROM ended"
        )
    )
