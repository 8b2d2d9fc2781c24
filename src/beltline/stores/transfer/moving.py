"""Moving a hub's store into another one, and the backup of a store that is in a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from beltline.stores import is_shared, sqlite_path
from beltline.stores.postgres.address import Address, read_address
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.transfer.carrying import Carried, carry
from beltline.stores.transfer.postgres import (
    reading_postgres,
    same_database,
    writing_postgres,
)
from beltline.stores.transfer.sqlite import reading_sqlite, writing_copy, writing_sqlite
from beltline.stores.transfer.tables import MoveFailed, Reading, Writing


async def move(old: str, new: str) -> list[Carried]:
    """Carries everything from the store at one URL into the empty one at another; gives the rows of
    each table. The old one stays as it was. Raises `ValueError` for a wrong address, and
    `StoreUnavailable` and its kin.
    """
    await _refuse_the_same(old, new)
    async with _reading(old) as source, _writing(new) as target:
        return await carry(source, target)


async def back_up(address: Address, path: str) -> None:
    """Writes a database's store, as of one moment, into a new SQLite store, while nodes serve it.
    Raises `FileExistsError`.
    """
    async with (
        writing_copy(Path(path)) as target,
        reading_postgres(address, beside_nodes=True) as source,
    ):
        await carry(source, target)


async def _refuse_the_same(old: str, new: str) -> None:
    if is_shared(old) != is_shared(new):
        return
    if is_shared(old):
        same = await same_database(read_address(old), read_address(new))
    else:
        same = sqlite_path(old).resolve() == sqlite_path(new).resolve()
    if same:
        raise MoveFailed("the two addresses lead to one store: there is nothing to move")


@asynccontextmanager
async def _reading(url: str) -> AsyncIterator[Reading]:
    if is_shared(url):
        async with reading_postgres(read_address(url)) as rows:
            yield rows
    else:
        async with reading_sqlite(sqlite_path(url)) as rows:
            yield rows


@asynccontextmanager
async def _writing(url: str) -> AsyncIterator[Writing]:
    if is_shared(url):
        store = await open_postgres(url)  # which makes the schema
        await store.close()
        async with writing_postgres(read_address(url)) as rows:
            yield rows
    else:
        async with writing_sqlite(sqlite_path(url), durable=True) as rows:
            yield rows
