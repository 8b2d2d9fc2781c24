"""Workbooks of xlsx by openpyxl, within bounds: such a file is a zip of XML, and so can be a bomb.

What it unpacks to is counted while it is unpacked, before anything reads it, since what a zip says
of its sizes is only what its maker says. A document type or an entity is refused by defusedxml,
which openpyxl uses.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.writer.excel import ExcelWriter

from beltline.modules.content import Unreadable
from beltline.sdk import Bounds

_PARTS = 1_000  # files in the zip; a workbook of a hundred sheets has about 120
_PIECE = 262_144
_DIGITS = 10**15
_CELL_CHARACTERS = 32_767  # as such files have it
# The same rows give the same bytes, and so the same file: no time of now stands in it.
_MADE = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@contextmanager
def sheet_lines(
    content: bytes, sheet: str | None, bounds: Bounds
) -> Iterator[Iterator[Sequence[Any]]]:
    """The lines of a sheet, one after another. Raises `Unreadable`."""
    _check_unpacked(content, bounds.module_unpacked_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which do not matter here
            book = openpyxl.load_workbook(
                io.BytesIO(content), read_only=True, data_only=True, keep_links=False
            )
        try:
            yield _lines(book, sheet, bounds)
        finally:
            book.close()
    except Unreadable:
        raise
    except (
        *(InvalidFileException, zipfile.BadZipFile, ParseError, KeyError, ValueError, TypeError),
        *(IndexError, AttributeError, OverflowError),
    ) as wrong:  # openpyxl believes in what it reads
        raise Unreadable(_words(wrong)) from wrong


def _words(error: BaseException) -> str:
    """What to tell of a file that openpyxl stumbled over."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DefusedXmlException):  # is a ValueError
            return "the file has a document type or entities, as no workbook has"
        cause = cause.__context__
    said = str(error).partition("\n")[0][:200]
    return f"the file is no xlsx workbook that can be read: {said}"


def _lines(book: Any, sheet: str | None, bounds: Bounds) -> Iterator[Sequence[Any]]:
    sheets = {one.title: one for one in book.worksheets}
    if not sheets:
        raise Unreadable("the workbook has no sheet")
    if sheet is not None and sheet not in sheets:
        raise Unreadable(f"there is no sheet {sheet!r}; there are: {', '.join(sheets)[:300]}")
    found = next(iter(sheets.values())) if sheet is None else sheets[sheet]
    found.reset_dimensions()  # what the file says of its size need not be true
    cells = 0
    for line in found.iter_rows(values_only=True):
        cells += len(line)
        if cells > bounds.module_cells:
            raise Unreadable(
                f"the sheet has more than {bounds.module_cells:,} cells (limit module_cells)"
            )
        yield [_value(cell) for cell in line]


def _check_unpacked(content: bytes, most: int) -> None:
    """Unpacks all, once, and keeps nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            parts = packed.infolist()
            if len(parts) > _PARTS:
                raise Unreadable(f"the file is a zip of more than {_PARTS:,} parts")
            room = most
            for part in parts:
                with packed.open(part) as unpacked:
                    while piece := unpacked.read(_PIECE):
                        room -= len(piece)
                        if room < 0:
                            raise Unreadable(
                                f"the file unpacks to more than {most:,} bytes (limit"
                                " module_unpacked_bytes)"
                            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as wrong:
        raise Unreadable(f"the file is no xlsx workbook: {wrong}") from wrong


def _value(cell: Any) -> Any:
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return None
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return cell


def workbook_of(lines: Sequence[Sequence[Any]], sheet: str, header: bool) -> bytes:
    """The file with these lines; equal ones give equal bytes. Raises `Unreadable`."""
    for line in lines:
        for value in line:
            _check_text(value)
    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = _MADE
    page = book.create_sheet(sheet)
    for number, line in enumerate(lines):
        page.append([_cell(page, one, is_bold=header and not number) for one in line])
    written = io.BytesIO()
    # Workbook.save would put in the time of now.
    ExcelWriter(book, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED)).save()
    return _without_times(written.getvalue())


def _cell(page: Any, value: Any, *, is_bold: bool) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= _DIGITS:
        value = str(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(page, value=value)
    cell.data_type = "s"  # also what begins with =
    if is_bold:
        cell.font = Font(bold=True)
    return cell


def _check_text(value: Any) -> None:
    if not isinstance(value, str):
        return
    if ILLEGAL_CHARACTERS_RE.search(value):
        raise Unreadable("a text holds a control character, which no sheet can")
    if len(value) > _CELL_CHARACTERS:
        raise Unreadable(f"a text has more than the {_CELL_CHARACTERS:,} characters of a cell")


def _without_times(packed: bytes) -> bytes:
    """The same zip, whose parts all have one time."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            same = zipfile.ZipInfo(part.filename, _MADE.timetuple()[:6])
            same.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(same, old.read(part))
    return made.getvalue()
