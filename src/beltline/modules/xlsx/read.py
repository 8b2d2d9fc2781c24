"""Read a sheet of an xlsx file into rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from beltline.modules.content import reading_file
from beltline.modules.table import Columns, Header, Limit, RowsOutput, Skip, rows_of
from beltline.sdk import Bounds, Config, Context, Example, FileRef, Module, Reject, field


class XlsxReadConfig(Config):
    """What to read."""

    file: Annotated[
        FileRef,
        field("File", "The file, as it stands in the document.", examples=["{{ request.prices }}"]),
    ]
    sheet: Annotated[
        str | None,
        field("Sheet", "The name of the sheet; the first one without it.", examples=["Prices"]),
    ] = None
    header: Header = True
    columns: Columns = None
    skip: Skip = 0
    limit: Limit = None


async def read(config: XlsxReadConfig, context: Context) -> RowsOutput | Reject:
    """Reads the rows."""
    return await reading_file(config.file, context, partial(_rows, config, context.bounds))


def _rows(config: XlsxReadConfig, bounds: Bounds, content: bytes) -> RowsOutput:
    from beltline.modules.xlsx.workbook import sheet_lines

    with sheet_lines(content, config.sheet, bounds) as lines:
        return rows_of(lines, config, bounds, is_ragged=True)


module = Module(
    name="xlsx.read",
    version=1,
    summary="Read a sheet of an xlsx file into rows.",
    description=(
        "Numbers are numbers, truth values are that, dates and times are texts in ISO 8601, empty"
        " cells are null. A cell with a formula has the value that was stored with it: nothing is"
        " calculated. Rows without any value count as none. The file is unpacked up to a bound."
    ),
    category="data",
    icon="sheet",
    effect="idempotent",
    on_repeat="It reads the same file again.",
    config=XlsxReadConfig,
    output=RowsOutput,
    handler=read,
    examples=(
        Example(
            "Two columns of a price list",
            {
                "file": {"blob": "sha256:" + "0" * 64, "name": "prices.xlsx"},
                "sheet": "Prices",
                "columns": ["sku", "price"],
            },
        ),
    ),
)
