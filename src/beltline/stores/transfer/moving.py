"""Moves a hub from one store to another, of whatever kinds; and the backup of one in a database.

At a move both stores are kept from being served until the end. The new one gets everything in one
transaction, which is committed only when both were read again and are the same, row by row. The old
one is only read. A backup is taken beside nodes that serve.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType

import msgspec

from beltline.stores import StoreUnavailable, is_shared, open_store, sqlite_path
from beltline.stores.postgres.address import Address, read_address
from beltline.stores.transfer.carrying import Tell, carry, compare, seal
from beltline.stores.transfer.sqlite import reading_sqlite, writing_copy, writing_sqlite
from beltline.stores.transfer.tables import MoveFailed, Reading, Writing


class Moved(msgspec.Struct, frozen=True):
    """How many rows of each table were moved and found to be the same; and how many runs were let
    go of, since the hub of the old store did not end cleanly.
    """

    rows: dict[str, int]
    recovered: int


async def move(old_url: str, new_url: str, *, tell: Tell, durable: bool = True) -> Moved:
    """Moves everything; the new store must be empty, and nobody may serve either. Raises
    `ValueError` for an address that is none, `StoreUnavailable` and its kin, `StoreAway` and
    `StoreFull`: the new store is empty then, as it was.

    `durable=False` allows a new store that is not safe against power loss: for tests.
    """
    if await _are_same(old_url, new_url):
        raise MoveFailed(f"{shown(old_url)} and {shown(new_url)} are the same store")
    async with _reading(old_url) as old:
        if is_shared(new_url):
            await _bring_up_to_date(new_url, durable=durable)
        async with _writing(new_url, durable=durable) as new:
            moved = await carry(old, new, tell)
            checked = await compare(old, new, tell)
            assert checked == moved, "as many rows are compared as were carried"
            await seal(old, new)
        return Moved(moved, await old.owned())


async def back_up(address: Address, path: str) -> None:
    """Copies the store in a database to a new SQLite file, as of one moment, while nodes serve it.
    The file appears under its name only when it is whole and durable. Raises `FileExistsError`,
    `StoreAway` and `MoveFailed`.

    Runs that nodes were moving have an owner in it, as in a copy of a SQLite store: to the hub that
    serves it next, or to a move, this is an unclean end, which lets go of them, ready at once, and
    counts a crash.
    """
    async with (
        writing_copy(Path(path)) as copy,
        _postgres().reading_postgres(address, beside_nodes=True) as store,
    ):
        await carry(store, copy, _quietly)
        await seal(store, copy)


def _quietly(*_: object) -> None:
    """Who asks for a backup is told at its end."""


async def _are_same(old_url: str, new_url: str) -> bool:
    if is_shared(old_url) and is_shared(new_url):
        addresses = read_address(old_url), read_address(new_url)
        same: bool = await _postgres().same_database(*addresses)
        return same
    if is_shared(old_url) or is_shared(new_url):
        return False
    return await asyncio.to_thread(_are_same_file, sqlite_path(old_url), sqlite_path(new_url))


def _are_same_file(old: Path, new: Path) -> bool:
    return old.exists() and new.exists() and old.samefile(new)


async def _bring_up_to_date(url: str, *, durable: bool) -> None:
    """Makes the schema of a database, as its first hub would do it."""
    await (await open_store(url, durable=durable)).close()


def _reading(url: str) -> AbstractAsyncContextManager[Reading]:
    if is_shared(url):
        reading: AbstractAsyncContextManager[Reading] = _postgres().reading_postgres(
            read_address(url)
        )
        return reading
    return reading_sqlite(sqlite_path(url))


def _writing(url: str, *, durable: bool) -> AbstractAsyncContextManager[Writing]:
    if is_shared(url):
        writing: AbstractAsyncContextManager[Writing] = _postgres().writing_postgres(
            read_address(url)
        )
        return writing
    return writing_sqlite(sqlite_path(url), durable=durable)


def _postgres() -> ModuleType:
    try:
        from beltline.stores.transfer import postgres  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise StoreUnavailable(
            f"a PostgreSQL store needs {missing.name}: install beltline[postgres]"
        ) from missing
    return postgres


def shown(url: str) -> str:
    """A store's address without a password, for messages. Raises `ValueError`."""
    return read_address(url).shown if is_shared(url) else str(sqlite_path(url))
