"""Write rows as a sheet of an xlsx file."""

from __future__ import annotations

import asyncio
from typing import Annotated

from beltline.modules.content import ContentOutput, Unreadable, giving_file
from beltline.modules.table import Header, Rows, WrittenColumns, lines_of
from beltline.sdk import Config, Context, Example, Module, Reject, field

_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class XlsxWriteConfig(Config):
    """What to write."""

    rows: Rows
    columns: WrittenColumns
    name: Annotated[
        str,
        field(
            "File name",
            "What the file is called.",
            examples=["leads.xlsx"],
            min_length=1,
            max_length=200,
        ),
    ]
    sheet: Annotated[
        str,
        field(
            "Sheet",
            "The name of the sheet.",
            examples=["Leads"],
            pattern=r"^[^\[\]:*?/\\\x00-\x1f]{1,31}$",
        ),
    ] = "Sheet1"
    header: Header = True


async def write(config: XlsxWriteConfig, context: Context) -> ContentOutput | Reject:
    """Writes the rows."""
    from beltline.modules.xlsx.workbook import workbook_of

    try:
        lines = lines_of(config, context.bounds)
        content = await asyncio.to_thread(workbook_of, lines, config.sheet, config.header)
    except Unreadable as wrong:
        return Reject(str(wrong))
    return await giving_file(content, config.name, _TYPE, context)


module = Module(
    name="xlsx.write",
    version=1,
    summary="Write rows as a sheet of an xlsx file.",
    description=(
        "Texts are written as texts, also those that begin with =: no formula comes out of a"
        " request. Numbers keep the 15 digits that such a file has; longer ones become texts."
    ),
    category="data",
    icon="sheet",
    effect="idempotent",
    on_repeat="It makes the same file again, which is kept once.",
    config=XlsxWriteConfig,
    output=ContentOutput,
    handler=write,
    examples=(
        Example(
            "A sheet of leads",
            {
                "name": "leads.xlsx",
                "sheet": "Leads",
                "columns": ["name", "phone"],
                "rows": [{"name": "Anna", "phone": "+79161234567"}],
            },
        ),
    ),
)
