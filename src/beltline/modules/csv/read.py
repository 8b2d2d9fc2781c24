"""Read a CSV text or file into rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from typing import Annotated

from beltline.modules.content import Encoding, File, Text, Unreadable, check_given, reading
from beltline.modules.table import Columns, Header, Limit, RowsOutput, Skip, rows_of
from beltline.sdk import Bounds, Config, Context, Example, Module, Reject, field


class CsvReadConfig(Config):
    """What to read, and how it is written."""

    text: Text = None
    file: File = None
    encoding: Encoding = "utf-8"
    header: Header = True
    columns: Columns = None
    skip: Skip = 0
    limit: Limit = None
    delimiter: Annotated[
        str, field("Delimiter", "What stands between two cells.", examples=[";", "\t"])
    ] = ","

    def __post_init__(self) -> None:
        check_given(self.text, self.file)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError("`delimiter` is one character, and no quote or line end")


async def read(config: CsvReadConfig, context: Context) -> RowsOutput | Reject:
    """Reads the rows; what is no CSV is refused, with its line."""
    return await reading(config, context, partial(_rows, config, context.bounds))


def _rows(config: CsvReadConfig, bounds: Bounds, text: str) -> RowsOutput:
    return rows_of(_lines(text, config.delimiter), config, bounds, is_ragged=False)


def _lines(text: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as wrong:
        raise Unreadable(f"line {reader.line_num} is no CSV: {wrong}") from wrong


module = Module(
    name="csv.read",
    version=1,
    summary="Read a CSV text or file into rows.",
    description=(
        "Cells are texts. Quotes are as RFC 4180 has them; a quote that is never closed, and a row"
        " with another number of cells than there are columns, are refused with the line. A row"
        " whose cells are all empty counts as none."
    ),
    category="data",
    icon="table",
    effect="idempotent",
    on_repeat="It reads the same content again.",
    config=CsvReadConfig,
    output=RowsOutput,
    handler=read,
    examples=(
        Example(
            "Prices of a text",
            {"text": 'sku;price\nA-1;12,50\n"B;2";3\n', "delimiter": ";"},
            {
                "rows": [{"sku": "A-1", "price": "12,50"}, {"sku": "B;2", "price": "3"}],
                "count": 2,
                "more": False,
            },
        ),
        Example(
            "The second page of a file",
            {
                "file": {"blob": "sha256:" + "0" * 64},
                "encoding": "windows-1251",
                "skip": 500,
                "limit": 500,
            },
        ),
    ),
)
