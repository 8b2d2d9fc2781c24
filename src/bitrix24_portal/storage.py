"""The portal's one SQLite file: entity tables made from their declarations, and a few more.

WAL with `synchronous=NORMAL`: a crash of the machine may lose the last moments, which is enough for
a stand-in. A kill of the process loses nothing that was answered. A field that was declared after
a file was made becomes a column when the file is next opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from bitrix24_portal.entities import ENTITIES
from bitrix24_portal.fields import Field, Stored
from bitrix24_portal.filters import Clause
from bitrix24_portal.tables import ACTIVITY, CATEGORY, COMMENT, STATUS, TASK

PAGE = 50
Row = dict[str, Any]

_OTHER_TABLES = """
CREATE TABLE IF NOT EXISTS "multifield" (
    "ID" INTEGER PRIMARY KEY AUTOINCREMENT,
    "ENTITY_TYPE" TEXT NOT NULL,
    "ELEMENT_ID" INTEGER NOT NULL,
    "TYPE_ID" TEXT NOT NULL,
    "VALUE_TYPE" TEXT NOT NULL,
    "VALUE" TEXT NOT NULL,
    "MATCH_KEY" TEXT NOT NULL -- the value as duplicates are searched by it
);
CREATE INDEX IF NOT EXISTS "multifield_owner" ON "multifield" ("ENTITY_TYPE", "ELEMENT_ID");
CREATE INDEX IF NOT EXISTS "multifield_match" ON "multifield" ("TYPE_ID", "MATCH_KEY");
CREATE TABLE IF NOT EXISTS "message" (
    "ID" INTEGER PRIMARY KEY AUTOINCREMENT,
    "KIND" TEXT NOT NULL, -- USER, SYSTEM or CHAT
    "RECIPIENT" TEXT NOT NULL,
    "AUTHOR_ID" INTEGER NOT NULL,
    "TEXT" TEXT NOT NULL,
    "TAG" TEXT,
    "CREATED" TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS "handler" (
    "ID" INTEGER PRIMARY KEY AUTOINCREMENT,
    "EVENT" TEXT NOT NULL,
    "HANDLER" TEXT NOT NULL,
    "AUTH_TYPE" INTEGER NOT NULL,
    UNIQUE ("EVENT", "HANDLER", "AUTH_TYPE")
);
CREATE TABLE IF NOT EXISTS "delivery" (
    "ID" INTEGER PRIMARY KEY AUTOINCREMENT,
    "HANDLER_ID" INTEGER NOT NULL,
    "HANDLER" TEXT NOT NULL,
    "EVENT" TEXT NOT NULL,
    "SUBJECT_ID" INTEGER NOT NULL,
    "TS" INTEGER NOT NULL,
    "OUTCOME" TEXT -- NULL while it waits; 'sending' before the one attempt, then how it went
);
CREATE INDEX IF NOT EXISTS "delivery_waiting" ON "delivery" ("ID") WHERE "OUTCOME" IS NULL;
CREATE TABLE IF NOT EXISTS "call" (
    "ID" INTEGER PRIMARY KEY AUTOINCREMENT,
    "AT" REAL NOT NULL,
    "CALLER" TEXT NOT NULL,
    "USER_ID" INTEGER,
    "METHOD" TEXT NOT NULL,
    "BATCH" INTEGER, -- the call of the batch that carried this one
    "PARAMS" TEXT NOT NULL,
    "STATUS" INTEGER NOT NULL,
    "ERROR" TEXT
);
"""


def fold(*values: Any) -> str | None:
    """Text without regard to case, as the portal's database compares it, in any alphabet."""
    (value,) = values
    return None if value is None else str(value).casefold()


class Storage:
    """The open file. All calls are made from one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5_000)
        self._connection.set_row_trace(_as_dict)
        self._connection.create_scalar_function("fold", fold, 1, deterministic=True)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self._connection:
            self._connection.execute(_OTHER_TABLES)
            for entity in ENTITIES:
                extra = Field("EXTRA", "string", "user fields and links to parents, as JSON")
                self._make_table(entity.name, (*entity.columns, extra))
            for table in (STATUS, CATEGORY, COMMENT, ACTIVITY, TASK):
                self._make_table(table.name, table.fields)

    def close(self) -> None:
        """Closes the file; the storage cannot be used afterwards."""
        self._connection.close()

    def transaction(self) -> apsw.Connection:
        """A context manager: commits at its end, rolls back when an exception leaves it."""
        return self._connection

    def rows(self, sql: str, values: Sequence[Stored] = ()) -> list[Row]:
        """All rows of a query."""
        return list(self._connection.execute(sql, tuple(values)))

    def row(self, sql: str, values: Sequence[Stored] = ()) -> Row | None:
        """The first row of a query, if it has one."""
        return next(iter(self._connection.execute(sql, tuple(values))), None)

    def run(self, sql: str, values: Sequence[Stored] = ()) -> int:
        """Runs a statement and gives the number of rows that it changed."""
        self._connection.execute(sql, tuple(values))
        return self._connection.changes()

    def insert(self, table: str, values: Mapping[str, Stored]) -> int:
        """Adds a row and gives its id."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - declared names
        self._connection.execute(sql, tuple(values.values()))
        return self._connection.last_insert_rowid()

    def update(self, table: str, id: int, values: Mapping[str, Stored]) -> None:
        """Changes columns of one row."""
        if not values:
            return
        pairs = ", ".join(f'"{name}" = ?' for name in values)
        sql = f'UPDATE "{table}" SET {pairs} WHERE "ID" = ?'  # noqa: S608 - declared names
        self._connection.execute(sql, (*values.values(), id))

    def delete(self, table: str, id: int) -> bool:
        """Removes one row; tells whether there was one."""
        return self.run(f'DELETE FROM "{table}" WHERE "ID" = ?', (id,)) > 0  # noqa: S608

    def find(self, table: str, id: int) -> Row | None:
        """One row by its id."""
        return self.row(f'SELECT * FROM "{table}" WHERE "ID" = ?', (id,))  # noqa: S608

    def page(self, table: str, where: Clause, order_by: str, start: int) -> list[Row]:
        """Up to fifty rows from the given place on."""
        return self.rows(
            f'SELECT * FROM "{table}" WHERE {where.sql} '  # noqa: S608 - built from declarations
            f"ORDER BY {order_by} LIMIT {PAGE} OFFSET ?",
            (*where.values, start),
        )

    def count(self, table: str, where: Clause) -> int:
        """How many rows a condition holds for."""
        sql = f'SELECT count(*) AS n FROM "{table}" WHERE {where.sql}'  # noqa: S608 - the same
        found = self.row(sql, where.values)
        return int(found["n"]) if found else 0

    def _make_table(self, name: str, fields: Iterable[Field]) -> None:
        columns = {
            field.name: f'"{field.name}" {field.column_type}'
            for field in fields
            if field.name != "ID"
        }
        self._connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{name}" '
            f'("ID" INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(columns.values())})'
        )
        present = {row["name"] for row in self.rows(f'PRAGMA table_info("{name}")')}
        for column, declared in columns.items():
            if column not in present:
                self._connection.execute(f'ALTER TABLE "{name}" ADD COLUMN {declared}')


def _as_dict(cursor: apsw.Cursor, row: tuple[Any, ...]) -> Row:
    return dict(zip((column[0] for column in cursor.get_description()), row, strict=True))
