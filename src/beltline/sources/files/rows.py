"""The rows of a file, one by one: memory stays small however large the file is.

Lines are read up to the size of a request and no further, so that a file without line ends, or a
quote that is never closed, costs no more than that.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

import msgspec

from beltline.core.limits import Limits
from beltline.definition.files import FileFormat
from beltline.sources.files.place import FileUnfit
from beltline.sources.json_body import read_json
from beltline.sources.refusal import RequestRefused


class Row(msgspec.Struct, frozen=True):
    """A row by its number, from 1 on and without those that are empty: its value, or why it cannot
    be taken (`unfit`).
    """

    number: int
    value: Any = None
    unfit: str = ""


def text_of(file: BinaryIO, encoding: str) -> TextIO:
    """The file as text, with its line ends as they are. Closing it closes the file."""
    return io.TextIOWrapper(file, _decoder(encoding), newline="")


def read_rows(text: TextIO, format: FileFormat, delimiter: str, limits: Limits) -> Iterator[Row]:
    """The rows of a CSV file, whose first row names the columns, or the lines of a JSON Lines file.
    Raises `FileUnfit` where the file cannot be read any further.
    """
    lines = _Lines(text, limits.request_body_bytes)
    if format == "csv":
        return _csv_rows(lines, delimiter or ",")
    return _json_rows(lines, limits)


def read_text(raw: bytes, encoding: str) -> str:
    """The text of a whole file. Raises `FileUnfit`."""
    try:
        return raw.decode(_decoder(encoding))
    except ValueError as wrong:
        raise FileUnfit(f"it is not {encoding}: {wrong}") from wrong


class _Lines:
    """The lines of a file; `begin_row` lets the next row take as much again."""

    def __init__(self, text: TextIO, most: int) -> None:
        self._text = text
        self._most = most
        self._left = most
        self.number = 0

    def begin_row(self) -> None:
        self._left = self._most

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number += 1
        try:
            line = self._text.readline(self._left + 1)
        except ValueError as wrong:
            raise FileUnfit(f"line {self.number} is not {self._text.encoding}: {wrong}") from wrong
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise FileUnfit(
                f"the row that reaches line {self.number} has more than {self._most:,} characters"
                " (limit request_body_bytes)"
            )
        return line


def _decoder(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _csv_rows(lines: _Lines, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            lines.begin_row()
            if not cells:
                continue
            if names is None:
                names = _names(cells)
                continue
            number += 1
            if len(cells) == len(names):
                yield Row(number, dict(zip(names, cells, strict=True)))
            else:
                yield Row(
                    number,
                    unfit=f"line {reader.line_num} has {len(cells)} cells, and the first line"
                    f" names {len(names)}",
                )
    except csv.Error as wrong:
        raise FileUnfit(f"line {reader.line_num} is no CSV: {wrong}") from wrong
    if names is None:
        raise FileUnfit("it is empty; its first line has to name the columns")


def _names(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if "" in names:
        raise FileUnfit(f"column {names.index('') + 1} has no name in the first line")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FileUnfit(f"the first line names the column {name[:100]!r} twice")
        seen.add(name)
    return names


def _json_rows(lines: _Lines, limits: Limits) -> Iterator[Row]:
    number = 0
    for line in lines:
        lines.begin_row()
        if not line.strip():
            continue
        number += 1
        try:
            value, _ = read_json(line.encode(), depth=limits.request_depth)
        except RequestRefused as wrong:
            yield Row(number, unfit=f"line {lines.number}: {wrong.detail}")
        else:
            yield Row(number, value)
