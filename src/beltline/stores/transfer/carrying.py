"""The way between two stores: every row is carried, then read again at both ends and compared.

A few chunks of rows are in memory at once. While one is written the next one is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from beltline.stores.transfer.tables import (
    NUMBERED,
    TABLES,
    MoveFailed,
    Reading,
    Row,
    Table,
    Writing,
)

# Told after each table: its name, how many rows, and whether they were "moved" or "checked".
Tell = Callable[[str, int, str], None]


async def carry(old: Reading, new: Writing, tell: Tell) -> dict[str, int]:
    """Writes all rows of the old store into the new one; gives how many each table has."""
    span = await old.span()
    if span is not None:
        await new.prepare(*span)
    counts: dict[str, int] = {}
    for table in TABLES:
        counts[table.name] = 0
        async for rows in read_ahead(old.rows(table)):
            await new.write(table, rows)
            counts[table.name] += len(rows)
        tell(table.name, counts[table.name], "moved")
    return counts


async def seal(old: Reading, new: Writing) -> None:
    """Lets the new store give ids on from where the old one is."""
    await new.seal({name: await old.last_id(name) for name in NUMBERED})


async def compare(old: Reading, new: Writing, tell: Tell) -> dict[str, int]:
    """Reads both stores and compares them row by row; gives how many rows are the same. Raises
    `MoveFailed` for the first difference.
    """
    counts: dict[str, int] = {}
    for table in TABLES:
        counts[table.name] = await _compare_table(table, old.rows(table), new.rows(table))
        tell(table.name, counts[table.name], "checked")
    return counts


async def _compare_table(
    table: Table, old: AsyncIterator[list[Row]], new: AsyncIterator[list[Row]]
) -> int:
    """The chunks of the two need not have the same lengths."""
    count = 0
    wanted: list[Row] = []
    found: list[Row] = []
    old, new = read_ahead(old), read_ahead(new)
    while True:
        wanted = wanted or await anext(old, [])
        found = found or await anext(new, [])
        both = min(len(wanted), len(found))
        if both == 0:
            break
        if wanted[:both] != found[:both]:
            raise difference(table, wanted, found)
        count += both
        wanted, found = wanted[both:], found[both:]
    if wanted or found:
        raise difference(table, wanted, found)
    return count


def difference(table: Table, wanted: list[Row], found: list[Row]) -> MoveFailed:
    """Names the first row that differs, and its columns; what is in them is not to be shown."""
    for row, other in zip(wanted, found, strict=False):
        if row == other:
            continue
        key, other_key = row[: table.key], other[: table.key]
        if key != other_key:
            break
        columns = [
            column
            for column, value, its in zip(table.columns, row, other, strict=True)
            if value != its
        ]
        return _not_the_same(table, row, f"differs in {', '.join(columns)}")
    else:
        both = min(len(wanted), len(found))
        if wanted[both:]:
            return _not_the_same(table, wanted[both], "is only in the old store")
        return _not_the_same(table, found[both], "is only in the new store")
    if key < other_key:
        return _not_the_same(table, row, "is only in the old store")
    return _not_the_same(table, other, "is only in the new store")


def _not_the_same(table: Table, row: Row, what: str) -> MoveFailed:
    return MoveFailed(
        f"the stores are not the same: in {table.name} the row with {table.named(row)} {what}."
        " Everything that was moved is taken back"
    )


async def read_ahead(chunks: AsyncIterator[list[Row]]) -> AsyncIterator[list[Row]]:
    """The same chunks, each asked for while the one before it is used."""

    async def ask() -> list[Row]:
        return await anext(chunks, [])

    asked = asyncio.create_task(ask())
    try:
        while chunk := await asked:
            asked = asyncio.create_task(ask())
            yield chunk
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
