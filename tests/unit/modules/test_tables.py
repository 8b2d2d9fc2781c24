"""`csv.read`, `csv.write`, `xlsx.read`, `xlsx.write`: rows as they stand, within bounds."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, timezone
from typing import Any

import msgspec
import openpyxl
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from beltline.modules.csv import read as csv_read
from beltline.modules.csv import write as csv_write
from beltline.modules.xlsx import read as xlsx_read
from beltline.modules.xlsx import write as xlsx_write
from beltline.sdk import FileRef, Reject
from beltline.sdk.testing import BOUNDS, Files, answer, given

CELL = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
MISSING = {"blob": "sha256:" + "0" * 64}


async def read(text: str, **config: Any) -> Any:
    return await answer(csv_read.module, {"text": text, **config}, given())


def workbook(*lines: Any, title: str = "Sheet1", **more: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    page: Any = book.active
    page.title = title
    for line in lines:
        page.append(line)
    for name, other in more.items():
        sheet = book.create_sheet(name)
        for line in other:
            sheet.append(line)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


async def read_book(content: bytes, **config: Any) -> Any:
    bounds = msgspec.structs.replace(BOUNDS, module_file_bytes=1_048_576)
    files = Files(bounds)
    ref = msgspec.to_builtins(files.put(content, "prices.xlsx"))
    context = given(files=files, bounds=bounds)
    return await answer(xlsx_read.module, {"file": ref, **config}, context)


def replaced(book: bytes, part: str, content: bytes) -> bytes:
    """The workbook with another content of one of its parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(made, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return made.getvalue()


# CSV


async def test_a_file_in_its_encoding() -> None:
    files = Files()
    ref = msgspec.to_builtins(files.put("имя\nАнна\n".encode("windows-1251")))
    config = {"file": ref, "encoding": "windows-1251"}
    found = await answer(csv_read.module, config, given(files=files))
    assert found["rows"] == [{"имя": "Анна"}]
    wrong = await answer(csv_read.module, {"file": ref}, given(files=files))
    assert wrong == Reject("the file is not utf-8: byte 1 is no character of it")


async def test_a_mark_at_the_beginning_is_no_part_of_a_name() -> None:
    assert (await read("\ufeffa\n1\n"))["rows"] == [{"a": "1"}]
    files = Files()
    ref = msgspec.to_builtins(files.put("\ufeffa\n1\n".encode()))
    found = await answer(csv_read.module, {"file": ref}, given(files=files))
    assert found["rows"] == [{"a": "1"}]


async def test_columns_are_taken_by_name_and_named_without_a_header() -> None:
    text = "a,b,c\n1,2,3\n"
    assert (await read(text, columns=["c", "a"]))["rows"] == [{"c": "3", "a": "1"}]
    assert (await read("1,2\n", header=False))["rows"] == [["1", "2"]]
    assert (await read("1,2\n", header=False, columns=["x", "y"]))["rows"] == [{"x": "1", "y": "2"}]


async def test_pages_of_rows() -> None:
    text = "n\n" + "".join(f"{number}\n" for number in range(5))
    first = await read(text, limit=2)
    assert [row["n"] for row in first["rows"]] == ["0", "1"]
    assert first["more"] is True
    last = await read(text, skip=3, limit=2)
    assert [row["n"] for row in last["rows"]] == ["3", "4"]
    assert last["more"] is False


@pytest.mark.parametrize(
    ("text", "config", "reason"),
    [
        ("", {}, "the table is empty"),
        ("a,b\n1\n", {}, "row 2 has 1 cells, and there are 2 columns"),
        ("a\n1,2\n", {}, "row 2 has 2 cells, and there are 1 columns"),
        ("a,a\n", {}, "names the column 'a' twice"),
        ("a,,b\n", {}, "column 2 has no name"),
        ('a\n"1\n', {}, "line 2 is no CSV"),
        ("a\n1\n", {"columns": ["b"]}, "there is no column 'b'; there are: a"),
        ("a\n" + "1\n" * 101, {}, "more than 100 rows (limit module_rows)"),
        ("a\n" + f"{'x' * 1_000}\n" * 70, {}, "limit result_bytes"),
    ],
)
async def test_what_is_no_table_is_refused(text: str, config: dict[str, Any], reason: str) -> None:
    outcome = await read(text, **config)
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason


@pytest.mark.parametrize("config", [{}, {"text": "a", "file": MISSING}, {"text": "a", "limit": 0}])
async def test_parameters_that_do_not_fit(config: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await answer(csv_read.module, config, given())


async def test_a_file_that_is_gone() -> None:
    outcome = await answer(csv_read.module, {"file": MISSING}, given())
    assert isinstance(outcome, Reject)
    assert "there is no file" in outcome.reason


@settings(max_examples=50, deadline=None)
@each(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8))
async def test_what_is_written_is_read_again(rows: list[list[str]]) -> None:
    config = {"columns": ["a", "b"], "rows": rows, "delimiter": ";"}
    written = await answer(csv_write.module, config, given())
    found = await read(written["text"], delimiter=";")
    assert [list(row.values()) for row in found["rows"]] == [row for row in rows if any(row)]


async def test_a_file_is_written_with_its_reference() -> None:
    files = Files()
    config = {"columns": ["a"], "rows": [["=1+1"]], "name": "x.csv", "bom": True}
    made = await answer(csv_write.module, {**config, "formulas": "quote"}, given(files=files))
    assert made["text"] is None
    ref: dict[str, Any] = made["file"]
    assert (ref["name"], ref["type"], ref["bytes"]) == ("x.csv", "text/csv", 13)
    assert files.contents[made["file"]["blob"]] == "\ufeffa\r\n'=1+1\r\n".encode()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 2]], "row 1 has 2 cells, and there are 1 columns"),
        ([{"a": [1]}], "row 1 has a cell that is no text and no number"),
        ([[1]] * 101, "limit module_rows"),
    ],
)
async def test_rows_that_cannot_be_written(rows: Any, reason: str) -> None:
    outcome = await answer(csv_write.module, {"columns": ["a"], "rows": rows}, given())
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason


# xlsx


async def test_values_of_a_sheet() -> None:
    book = workbook(
        ["sku", "price", "day", "at", "is_new", "note", None],
        ["A-1", 12.5, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), True, None, None],  # noqa: DTZ001 - a sheet knows no zone
        [None] * 6,
        ["B-2", 79161234567.0, None, None, False],
    )
    assert await read_book(book) == {
        "rows": [
            {
                "sku": "A-1", "price": 12.5, "day": "2026-01-02T00:00:00",
                "at": "2026-01-02T03:04:05", "is_new": True, "note": None,
            },
            {
                "sku": "B-2", "price": 79161234567, "day": None,
                "at": None, "is_new": False, "note": None,
            },
        ],
        "count": 2,
        "more": False,
    }  # fmt: skip


async def test_a_sheet_is_named() -> None:
    book = workbook(["a"], [1], Prices=[["b"], [2]])
    assert (await read_book(book))["rows"] == [{"a": 1}]
    assert (await read_book(book, sheet="Prices"))["rows"] == [{"b": 2}]
    outcome = await read_book(book, sheet="None")
    assert outcome == Reject("there is no sheet 'None'; there are: Sheet1, Prices")


def bomb(size: int, *, parts: int = 1) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(parts):
            packed.writestr(f"{number}.xml", bytes(size))
    return made.getvalue()


def understated(size: int) -> bytes:
    """A zip that says that its part has ten bytes."""
    packed = bomb(size)
    true, told = size.to_bytes(4, "little"), (10).to_bytes(4, "little")
    return packed.replace(true, told)


SHEET = "xl/worksheets/sheet1.xml"
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + HEAD + b"&b;</worksheet>"
WIDE = HEAD + b"<sheetData>%s</sheetData></worksheet>" % b"".join(
    b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (row, row) for row in (1, 2)
)
FAR = (
    HEAD
    + b'<sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
    + (b'<row r="1048576"><c r="A1048576"><v>2</v></c></row></sheetData></worksheet>')
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK", "is no xlsx workbook"),
        (b"not a zip", "is no xlsx workbook"),
        (bomb(300_000), "unpacks to more than 262,144 bytes (limit module_unpacked_bytes)"),
        (bomb(100_000, parts=3), "limit module_unpacked_bytes"),
        (bomb(0, parts=1_001), "a zip of more than 1,000 parts"),
        (understated(300_000), "is no xlsx workbook"),
        (bomb(1), "is no xlsx workbook"),
        (replaced(workbook(["a"]), SHEET, LAUGHS), "a document type or entities"),
        (replaced(workbook(["a"]), SHEET, b"<x"), "is no xlsx workbook"),
        (replaced(workbook(["a"]), SHEET, WIDE), "limit module_cells"),
        (workbook(["a"], *([[1]] * 101)), "limit module_rows"),
    ],
)
async def test_bombs_and_what_is_no_workbook(content: bytes, reason: str) -> None:
    outcome = await read_book(content, header=False)
    assert isinstance(outcome, Reject), outcome
    assert reason in outcome.reason


@pytest.mark.timeout(20)
async def test_a_row_that_is_far_away_is_not_far() -> None:
    found = await read_book(replaced(workbook(["a"]), SHEET, FAR), header=False)
    assert found["rows"] == [[1], [2]]


class LaterTime(datetime):
    """What is asked for now, some years on."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls(2031, 1, 1, tzinfo=tz)


class Later:
    """The module of time of openpyxl."""

    timezone = timezone
    datetime = LaterTime


async def test_a_sheet_is_written_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files()
    rows: list[dict[str, Any]] = [
        {"name": "Анна", "phone": "+79161234567", "sum": 12.5, "is_new": True},
        {"name": "=HYPERLINK(1)", "phone": None, "sum": 12345678901234567890, "is_new": False},
    ]
    config = {"name": "leads.xlsx", "columns": ["name", "phone", "sum", "is_new"], "rows": rows}
    made = await answer(xlsx_write.module, config, given(files=files))
    assert made["file"]["name"] == "leads.xlsx"
    later = datetime(2031, 1, 1)  # noqa: DTZ001 - of the machine
    monkeypatch.setattr("time.localtime", lambda *given: later.timetuple())
    monkeypatch.setattr("openpyxl.writer.excel.datetime", Later)
    again = await answer(xlsx_write.module, config, given(files=files))
    assert again == made, "equal rows are one file"
    found = await answer(xlsx_read.module, {"file": made["file"]}, given(files=files))
    assert found["rows"] == [rows[0], {**rows[1], "sum": "12345678901234567890"}]
    book = openpyxl.load_workbook(io.BytesIO(files.contents[made["file"]["blob"]]))
    page: Any = book.active
    assert page["A3"].data_type == "s", "no formula"
    assert page["A1"].font.b


async def test_what_no_cell_can_hold() -> None:
    config = {"name": "x.xlsx", "columns": ["a"]}
    for value, reason in (("\x01", "control character"), ("x" * 40_000, "32,767 characters")):
        outcome = await answer(xlsx_write.module, {**config, "rows": [[value]]}, given())
        assert isinstance(outcome, Reject)
        assert reason in outcome.reason


async def test_a_file_beyond_the_bound_is_not_kept() -> None:
    bounds = msgspec.structs.replace(BOUNDS, module_file_bytes=1_000)
    config = {"name": "x.xlsx", "columns": ["a"], "rows": [["x"]]}
    outcome = await answer(xlsx_write.module, config, given(bounds=bounds))
    assert isinstance(outcome, Reject)
    assert "limit module_file_bytes" in outcome.reason


def test_a_reference_in_a_document_is_one_of_a_file() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"blob": "../../etc/passwd"}, FileRef)
