"""Rows of tables: which of them are taken, and objects by the names of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Protocol

import msgspec

from beltline.modules.content import Unreadable
from beltline.sdk import Bounds, Output, field

Header = Annotated[bool, field("Header", "Whether the first row names the columns.")]
Columns = Annotated[
    list[str] | None,
    field(
        "Columns",
        "With a header: the columns to take, each of which must be there. Without one: the names"
        " of the columns, in order; where none are given, a row is a list.",
        examples=[["sku", "price"]],
    ),
]
Skip = Annotated[int, field("Skip", "How many rows to leave out, after the header.", ge=0)]
Limit = Annotated[
    Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None,
    field(
        "Limit",
        "How many rows to take at most; `more` tells whether there are further ones. Without it"
        " all rows are taken, and too many are refused.",
        examples=[500],
    ),
]
Rows = Annotated[
    list[dict[str, Any] | list[Any]],
    field(
        "Rows",
        "Each row as an object, or as a list of cells in the order of the columns.",
        examples=["{{ prices.rows }}"],
    ),
]
WrittenColumns = Annotated[
    list[str],
    field(
        "Columns",
        "The columns in order. An object without one of them has an empty cell; whatever else it"
        " has is left out.",
        examples=[["sku", "price"]],
        min_length=1,
        max_length=1_000,
    ),
]


class Wanted(Protocol):
    """The parameters that tell which rows are taken."""

    header: bool
    columns: list[str] | None
    skip: int
    limit: int | None


class Written(Protocol):
    """The parameters that tell which rows are written."""

    rows: list[dict[str, Any] | list[Any]]
    columns: list[str]
    header: bool


class RowsOutput(Output):
    """The rows."""

    rows: Annotated[
        list[dict[str, Any] | list[Any]],
        field("Rows", "Each row as an object by the names of the columns, or as a list."),
    ]
    count: Annotated[int, field("Count", "How many rows there are.")]
    more: Annotated[bool, field("More", "Whether rows stand behind these.")] = False


def rows_of(
    lines: Iterable[Sequence[Any]], config: Wanted, bounds: Bounds, *, is_ragged: bool
) -> RowsOutput:
    """The rows of a table, in which lines without anything count as none. In a ragged one a short
    line has empty cells at its end. Raises `Unreadable`.
    """
    names: list[str] | None = None if config.header else config.columns
    taken: Sequence[int] | None = None
    rows: list[dict[str, Any] | list[Any]] = []
    left, size = config.skip, 0
    most = bounds.module_rows if config.limit is None else min(config.limit, bounds.module_rows)
    for number, line in enumerate(lines, start=1):
        if not any(cell not in ("", None) for cell in line):
            continue
        if config.header and names is None:
            names = _names(line)
            taken = _taken(names, config.columns)
            continue
        if left:
            left -= 1
            continue
        if len(rows) == most:
            if config.limit is None:
                raise Unreadable(
                    f"there are more than {most:,} rows (limit module_rows): take some of them by"
                    " `skip` and `limit`"
                )
            return RowsOutput(rows=rows, count=len(rows), more=True)
        row = _row(line, names, taken, number, is_ragged)
        size += len(msgspec.json.encode(row)) + 1
        rows.append(row)
        if size > bounds.result_bytes:
            raise Unreadable(
                f"the first {len(rows):,} rows take more than {bounds.result_bytes:,} bytes (limit"
                " result_bytes): take fewer at once, by `skip` and `limit`"
            )
    if config.header and names is None:
        raise Unreadable("the table is empty: its first row has to name the columns")
    return RowsOutput(rows=rows, count=len(rows))


def _names(line: Sequence[Any]) -> list[str]:
    names = ["" if cell is None else str(cell).strip() for cell in line]
    while names and not names[-1]:  # sheets often have empty columns behind the last
        names.pop()
    if "" in names:
        raise Unreadable(f"column {names.index('') + 1} has no name in the first row")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Unreadable(f"the first row names the column {twice[:100]!r} twice")
    return names


def _taken(names: list[str], columns: list[str] | None) -> list[int]:
    if columns is None:
        return list(range(len(names)))
    for name in columns:
        if name not in names:
            shown = ", ".join(names)[:300]
            raise Unreadable(f"there is no column {name[:100]!r}; there are: {shown}")
    return [names.index(name) for name in columns]


def _fitted(line: Sequence[Any], width: int, number: int, *, is_ragged: bool) -> Sequence[Any]:
    """The line with as many cells as there are columns."""
    filled = len(line)
    while is_ragged and filled > width and line[filled - 1] in ("", None):
        filled -= 1
    if filled > width or (filled < width and not is_ragged):
        raise Unreadable(f"row {number} has {filled} cells, and there are {width} columns")
    return [*line[:filled], *[None] * (width - filled)]


def _row(
    line: Sequence[Any],
    names: list[str] | None,
    taken: Sequence[int] | None,
    number: int,
    is_ragged: bool,
) -> dict[str, Any] | list[Any]:
    if names is None:
        return list(line)
    cells = _fitted(line, len(names), number, is_ragged=is_ragged)
    return {names[index]: cells[index] for index in (range(len(names)) if taken is None else taken)}


def lines_of(config: Written, bounds: Bounds) -> list[list[Any]]:
    """The cells of each line. Raises `Unreadable`."""
    if len(config.rows) > bounds.module_rows:
        raise Unreadable(
            f"there are {len(config.rows):,} rows, and at most {bounds.module_rows:,} are written"
            " at once (limit module_rows)"
        )
    lines: list[list[Any]] = [list(config.columns)] if config.header else []
    for number, row in enumerate(config.rows, start=1):
        line = [row.get(name) for name in config.columns] if isinstance(row, dict) else list(row)
        if len(line) > len(config.columns):
            raise Unreadable(
                f"row {number} has {len(line)} cells, and there are {len(config.columns)} columns"
            )
        for cell in line:
            if isinstance(cell, dict | list):
                raise Unreadable(f"row {number} has a cell that is no text and no number")
        lines.append(line)
    return lines
