"""The way between two stores: everything is written, read again, and compared row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from beltline.stores.transfer.tables import (
    NUMBERED,
    TABLES,
    MoveFailed,
    Reading,
    Row,
    Table,
    Writing,
)


class Carried(msgspec.Struct, frozen=True):
    """How many rows of a table were carried and compared."""

    table: str
    rows: int


async def carry(old: Reading, new: Writing) -> list[Carried]:
    """Carries everything. Raises `MoveFailed` at the first row that is not the same afterwards."""
    span = await old.span()
    if span is not None:
        await new.prepare(*span)
    for table in TABLES:
        async for rows in old.rows(table):
            await new.write(table, rows)
    carried = [Carried(table.name, await compare(table, old, new)) for table in TABLES]
    await new.seal({name: await old.last_id(name) for name in NUMBERED})
    return carried


async def compare(table: Table, old: Reading, new: Writing) -> int:
    """Compares a table row by row; gives the number of rows."""
    count = 0
    theirs = one_by_one(new.rows(table))
    async for row in one_by_one(old.rows(table)):
        other = await anext(theirs, None)
        if other != row:
            raise MoveFailed(
                f"the table {table.name} differs at {table.named(row)}:"
                " nothing was moved, and the new store is as it was"
            )
        count += 1
    extra = await anext(theirs, None)
    if extra is not None:
        raise MoveFailed(
            f"the new store's table {table.name} has a row too many, {table.named(extra)}:"
            " nothing was moved, and the new store is as it was"
        )
    return count


async def one_by_one(chunks: AsyncIterator[list[Row]]) -> AsyncIterator[Row]:
    """The rows in chunks."""
    async for chunk in chunks:
        for row in chunk:
            yield row
