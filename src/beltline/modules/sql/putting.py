"""The statement of `sql.upsert` in the words of each database, and the checks before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import Dialect, inspect
from sqlalchemy.exc import NoSuchTableError

from beltline.modules.sql.asking import quoted, scalar
from beltline.sdk.database import BadValue

_MARIADB = frozenset(("mysql", "mariadb"))


def values_of(
    rows: Sequence[dict[str, Any]], key: Sequence[str], columns: Sequence[str], most: int
) -> list[tuple[Any, ...]]:
    """The values of each row: those of the key, then the others. Raises `BadValue`."""
    if len(rows) > most:
        raise BadValue(
            f"`rows` has {len(rows):,} rows, and at most {most:,} are put at once (limit"
            " module_rows)"
        )
    return [
        tuple(_value(row, name, number, name in key) for name in (*key, *columns))
        for number, row in enumerate(rows, start=1)
    ]


def _value(row: dict[str, Any], name: str, number: int, is_key: bool) -> Any:
    if name not in row:
        raise BadValue(f"row {number} has no {name!r}: give it a value, or null to empty it")
    value = scalar(f"{name} of row {number}", row[name])
    if is_key and value is None:  # no null equals another: the row would be added each time
        raise BadValue(f"row {number} has null as {name!r}, which is a part of the key")
    return value


def check_key(database: sqlalchemy.Connection, table: str, key: Sequence[str]) -> None:
    """Refuses a key that is not unique in the table: MariaDB would add the rows again and again
    without a word. Raises `BadValue`.
    """
    schema, _, name = table.rpartition(".")
    inspector = inspect(database)
    try:
        unique: list[set[Any]] = [
            set(inspector.get_pk_constraint(name, schema or None)["constrained_columns"])
        ]
        unique += [
            set(index["column_names"])
            for index in inspector.get_indexes(name, schema or None)
            if index["unique"]
        ]
        unique += [
            set(one["column_names"])
            for one in inspector.get_unique_constraints(name, schema or None)
        ]
    except NoSuchTableError as wrong:
        raise BadValue(f"there is no table {table!r}") from wrong
    if set(key) not in unique:
        raise BadValue(
            f"the table {table!r} has no primary key or unique index over exactly"
            f" {', '.join(key)}: add one, or name others as `key`"
        )


def statement_of(
    dialect: Dialect,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    existing: Literal["change", "keep"],
) -> str:
    """The statement for one row; its values stand in the order of `key` and `columns`."""
    quote = dialect.identifier_preparer.quote_identifier
    is_mariadb = dialect.name in _MARIADB
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    names = [*key, *columns]
    target = ".".join(quote(part) for part in table.split("."))
    inserts = (
        f"insert into {target} ({quoted(names, quote)})"  # noqa: S608 - quoted names of the author's
        f" values ({', '.join([place] * len(names))})"
    )
    if is_mariadb:
        new = [f"{quote(name)} = values({quote(name)})" for name in columns]
        same = [f"{quote(key[0])} = {quote(key[0])}"]
        changes = new if existing == "change" and new else same
        return f"{inserts} on duplicate key update {', '.join(changes)}"
    new = [f"{quote(name)} = excluded.{quote(name)}" for name in columns]
    does = f"update set {', '.join(new)}" if existing == "change" and new else "nothing"
    return f"{inserts} on conflict ({quoted(key, quote)}) do {does}"
