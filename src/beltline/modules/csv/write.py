"""Write rows as a CSV text or file."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Annotated, Any, Literal

from beltline.modules.content import ContentOutput, FileName, giving
from beltline.modules.table import Header, Rows, WrittenColumns, lines_of
from beltline.sdk import Bounds, Config, Context, Example, Module, Reject, field

# What programs of sheets take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvWriteConfig(Config):
    """What to write, and how."""

    rows: Rows
    columns: WrittenColumns
    header: Header = True
    name: FileName = None
    delimiter: Annotated[
        Literal[",", ";", "\t", "|"], field("Delimiter", "What stands between two cells.")
    ] = ","
    bom: Annotated[
        bool,
        field("Byte order mark", "Whether the file begins with a mark, which Excel asks for."),
    ] = False
    formulas: Annotated[
        Literal["keep", "quote"],
        field(
            "Formulas",
            "`quote` puts an apostrophe before texts that a program of sheets would take for a"
            " formula (=, +, -, @): for files of what strangers sent, which people open.",
        ),
    ] = "keep"


async def write(config: CsvWriteConfig, context: Context) -> ContentOutput | Reject:
    """Writes the rows."""
    return await giving(config.name, context, "text/csv", partial(_text, config, context.bounds))


def _text(config: CsvWriteConfig, bounds: Bounds) -> str:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=config.delimiter, lineterminator="\r\n")
    for line in lines_of(config, bounds):
        writer.writerow([_cell(cell, config.formulas == "quote") for cell in line])
    return ("\ufeff" if config.bom else "") + written.getvalue()


def _cell(cell: Any, is_guarded: bool) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if is_guarded and isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell


module = Module(
    name="csv.write",
    version=1,
    summary="Write rows as a CSV text or file.",
    description="The file is UTF-8, with the line ends and quotes of RFC 4180. Null is empty.",
    category="data",
    icon="table",
    effect="idempotent",
    on_repeat="It makes the same content again, which is kept once.",
    config=CsvWriteConfig,
    output=ContentOutput,
    handler=write,
    examples=(
        Example(
            "Two rows as a text",
            {
                "columns": ["sku", "price"],
                "rows": [{"sku": "A-1", "price": 12.5}, {"sku": 'B "2"', "price": None}],
                "delimiter": ";",
            },
            {"text": 'sku;price\r\nA-1;12.5\r\n"B ""2""";\r\n', "file": None},
        ),
        Example(
            "A file that Excel opens",
            {
                "columns": ["name"],
                "rows": [["Anna"]],
                "name": "leads.csv",
                "bom": True,
                "formulas": "quote",
            },
        ),
    ),
)
