"""Opening a database as a store: whether it may be trusted, and whether its schema fits."""

from __future__ import annotations

import asyncio

import asyncpg

from beltline.stores.errors import StoreUnavailable, StoreUnreachable
from beltline.stores.postgres.address import Address, read_address
from beltline.stores.postgres.failures import AWAY, is_away
from beltline.stores.postgres.lane import Connection, connect
from beltline.stores.postgres.schema import Migration, Schema
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.store import PostgresStore

OPEN_S = 60.0  # a migration of a large store may take its time
OLDEST_SERVER = 150_000  # PostgreSQL 15
SAFE = {"fsync": ("on",), "full_page_writes": ("on",)}
UNSAFE_COMMITS = ("off",)  # every other value waits at least for this server's disk


async def open_postgres(
    url: str,
    sharing: Sharing | None = None,
    *,
    durable: bool = True,
    known: list[Migration] | None = None,
) -> PostgresStore:
    """Opens the database at `url` and brings its schema up to date. `known` are the migrations of
    this version of the hub. Raises `ValueError` for an address that is none, else
    `StoreUnavailable` and its kin.
    """
    address = read_address(url)
    schema = Schema(known)
    try:
        db = await connect(address)
    except (asyncpg.PostgresError, *AWAY) as error:
        raise _unavailable(address, error) from error
    guard = asyncio.get_running_loop().call_later(OPEN_S, db.terminate)
    try:
        await _check_server(db, address, durable=durable)
        await schema.bring_up_to_date(db)
        await db.close()
    except (asyncpg.PostgresError, *AWAY) as error:
        raise _unavailable(address, error) from error
    finally:
        guard.cancel()
        db.terminate()
    return PostgresStore(address, sharing or Sharing(), schema)


async def _check_server(db: Connection, address: Address, *, durable: bool) -> None:
    version = int(await db.fetchval("SHOW server_version_num"))
    if version < OLDEST_SERVER:
        raise StoreUnavailable(
            f"the store {address.shown} is on PostgreSQL {version // 10_000}:"
            " the hub needs version 15 or later"
        )
    if not durable:
        return
    for name, values in SAFE.items():
        if await db.fetchval(f"SHOW {name}") not in values:
            raise StoreUnavailable(
                f"the store {address.shown} has {name} switched off: what the hub acknowledges"
                " would not survive a loss of power. Switch it on"
            )
    if await db.fetchval("SHOW synchronous_commit") in UNSAFE_COMMITS:
        raise StoreUnavailable(
            f"the store {address.shown} has synchronous_commit switched off for this user or"
            " database: what the hub acknowledges could be lost. Switch it on"
        )


def _unavailable(address: Address, error: BaseException) -> StoreUnavailable:
    said = str(error) or type(error).__name__
    if is_away(error):
        return StoreUnreachable(f"the store {address.shown} cannot be reached: {said}")
    return StoreUnavailable(f"the store {address.shown} cannot be used: {said}")
