"""Fills a PostgreSQL store with millions of runs, by SQL: the store's own commits would take hours.

    finished  each with its request, one row of a journal, and its row in `finished`
    open      one run in so many, all over the time that is filled: ready (half of them since their
              acceptance, half since a moment of chance), waiting, parked, or stopped, with two rows
              of a journal
    held      some requests in a source's buffer

Bodies, metas and journal rows are those of a real lead that the hub has carried, so that sizes are
real. Keys are UUIDv7 over so many days until now, a partition a day. Each partition is emptied in
the transaction that fills it: on a server with `wal_level = minimal` nothing of it goes to the WAL.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg

from beltline.stores import open_store
from beltline.stores.postgres import partitions
from beltline.stores.postgres.address import read_address
from beltline.stores.postgres.lane import connect
from bench.measured import process
from bench.measured.load import Journals, finish_two

DAY_MS = 86_400_000
LOADERS = 2  # days that are filled at the same time: one a core

# The runs of one day, in the place of NUMBERED below. $1: the first one's number, $2: the last
# one's, $3: when the first came in, $4: ms from one to the next, $5: one in so many is open.
NUMBERED = """
    SELECT n, at, key, n % $5 = 0 AS is_open, n % 100003 = 1 AS is_held, (n / $5) % 100 AS kind,
        CASE WHEN n % 49999 = 0 THEN 'rare-lead' WHEN n % 5 = 0 THEN 'pure-lead' ELSE 'lead' END
            AS process,
        hashint8(n)::bigint + 2147483648 AS chance
    FROM generate_series($1::bigint, $2::bigint) AS n,
    LATERAL (SELECT $3::bigint + ((n - $1) * $4::float8)::bigint AS at) AS timed,
    LATERAL (SELECT (lpad(to_hex(at), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
        || '8' || substr(md5(n::text), 1, 15))::uuid AS key) AS keyed
"""
REQUESTS = """
    INSERT INTO TABLE_OF_THE_DAY (key, source, process, accepted_at, body, meta)
    SELECT key, process || 's', process, at, $6::bytea, $7::bytea FROM (NUMBERED) AS one
"""
JOURNAL = """
    INSERT INTO TABLE_OF_THE_DAY (run, seq, entry)
    SELECT key, seq, entry FROM (NUMBERED) AS one,
        unnest($6::int[], $7::bytea[]) AS row (seq, entry)
    WHERE NOT is_held AND (is_open OR seq = 0)
"""
FINISHED = """
    INSERT INTO TABLE_OF_THE_DAY (key, version_id, status)
    SELECT key, 1, CASE WHEN chance % 100 = 0 THEN 'cancelled' ELSE 'completed' END
    FROM (NUMBERED) AS one WHERE NOT is_open AND NOT is_held
"""
# Of a hundred open runs 60 are ready, 20 wait, 12 are parked, 8 are stopped.
OPEN = """
    INSERT INTO beltline.run (key, version_id, status, ready_at)
    SELECT key, 1,
        CASE WHEN kind < 40 THEN 'moving' WHEN kind < 80 THEN 'waiting' WHEN kind < 92 THEN 'parked'
            ELSE 'stopped' END,
        CASE WHEN kind < 30 THEN at WHEN kind < 60 THEN at + chance % 86400000
            WHEN kind < 92 THEN $6::bigint + chance % 8640000000 END
    FROM (NUMBERED) AS one WHERE is_open
"""
HELD = """
    INSERT INTO beltline.held (key, source, process, line, place, is_head)
    SELECT key, process || 's', process, '', n, true
    FROM (NUMBERED) AS one WHERE is_held AND NOT is_open
"""


async def load(home: Path, url: str, runs: int, one_open_in: int, days: int) -> dict[str, Any]:
    """Fills the store with `runs` runs, one in `one_open_in` of them open."""
    await (await open_store(url)).close()
    address = read_address(url)
    db = await connect(address)
    now: int = await db.fetchval("SELECT beltline.now_ms()")
    start = now // DAY_MS * DAY_MS - days * DAY_MS
    # Before a hub makes some, which are wider.
    await partitions.cover(db, start, now, DAY_MS)
    journals = await finish_two(home, "leads", url)
    began = time.perf_counter()
    body, meta = (await db.fetch("SELECT body, meta FROM beltline.request LIMIT 1"))[0]
    await db.close()
    per_day = runs // days
    waiting = iter(range(days))

    async def fill_days() -> None:
        connection = await connect(address)
        for day in waiting:
            numbers = (day * per_day + 1, (day + 1) * per_day, start + day * DAY_MS)
            spread = (*numbers, DAY_MS / per_day, one_open_in)
            await _fill_day(connection, spread, body, meta, journals)
        await connection.close()

    await asyncio.gather(*(fill_days() for _ in range(LOADERS)))
    loaded_s = time.perf_counter() - began
    await _vacuum(url)
    return {
        "runs": per_day * days,
        "load_s": loaded_s,
        "vacuum_s": time.perf_counter() - began - loaded_s,
    }


async def _fill_day(
    db: Any, spread: tuple[Any, ...], body: bytes, meta: bytes, journals: Journals
) -> None:
    """Fills one day's partitions and adds its open runs."""
    start: int = spread[2]
    suffix = partitions.Range(start, start + DAY_MS).suffix
    first_two = journals[0][:2]
    rows = ([seq for seq, _ in first_two], [entry for _, entry in first_two])
    now = await db.fetchval("SELECT beltline.now_ms()")
    for table, statement, values in (
        ("request", REQUESTS, (body, meta)),
        ("journal", JOURNAL, rows),
        ("finished", FINISHED, ()),
    ):
        async with db.transaction():
            name = f"beltline.{table}_{suffix}"
            await db.execute(f"TRUNCATE {name}")
            await db.execute(_for_day(statement, name), *spread, *values)
    await db.execute(_for_day(OPEN), *spread, now)
    await db.execute(_for_day(HELD), *spread)


def _for_day(statement: str, table: str = "") -> str:
    return statement.replace("NUMBERED", NUMBERED).replace("TABLE_OF_THE_DAY", table)


async def _vacuum(url: str) -> None:
    """What autovacuum does to such a store in time: of partitions, never of their parents."""
    db = await asyncpg.connect(url)
    leaves = await db.fetch(
        "SELECT class.oid::regclass::text FROM pg_class AS class"
        " WHERE relnamespace = 'beltline'::regnamespace AND relkind = 'r'"
    )
    await db.close()
    names = iter([name for (name,) in leaves])

    async def vacuum_some() -> None:
        connection = await asyncpg.connect(url)
        for name in names:
            await connection.execute(f"VACUUM (ANALYZE) {name}")
        await connection.close()

    await asyncio.gather(*(vacuum_some() for _ in range(LOADERS)))


def main() -> None:
    """Fills a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", required=True, help="the URL of an empty database")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--one-open-in", type=int, default=11)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    numbers = (options.runs, options.one_open_in, options.days)
    process.run(load(options.home, options.store, *numbers))


if __name__ == "__main__":
    main()
