"""Statements over many rows in few steps.

Each step of a statement gives up the interpreter lock and must win it back from the other threads,
which costs more than the row itself: measured beside a busy thread, a row by `executemany` took
12 to 76 µs, and one of a 256-row `VALUES` list 2 to 4 µs. So rows are written by long lists, and
read back packed into one text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

LONGEST = 256  # rows a statement; twice as many gains nothing measurable and costs memory


class ManyRows:
    """One statement over any number of rows: `head`, a list of `VALUES`, `tail`.

    The lists have lengths of powers of two, so that a handful of prepared statements serves every
    number of rows.
    """

    def __init__(self, head: str, columns: int, tail: str = "") -> None:
        row = "(" + ",".join("?" * columns) + ")"
        self.columns = columns
        self.statements: list[tuple[int, str]] = []
        length = LONGEST
        while length:
            self.statements.append((length, f"{head} VALUES {','.join([row] * length)} {tail}"))
            length //= 2

    def run(self, db: apsw.Connection, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Runs it over `values`, the columns of all rows in turn; gives what it returns."""
        found: list[tuple[Any, ...]] = []
        at = 0
        for length, statement in self.statements:
            width = length * self.columns
            while len(values) - at >= width:
                found += db.execute(statement, values[at : at + width])
                at += width
        return found


def integers(values: Iterable[int]) -> Any:
    """64-bit integers as a table of one column: `SELECT value FROM carray(?)`; not empty."""
    return apsw.carray(array("q", values))


# The array of no byte strings cannot be had; this one is nobody's key.
NOBODY = (b"",)


def blobs(values: Iterable[bytes]) -> Any:
    """Keys as a table of one column: `SELECT value FROM carray(?)`."""
    return apsw.carray(tuple(values) or NOBODY)
