"""The table of idempotency keys of `sql.execute`, in the database that is changed."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from beltline.sdk.database import BadValue

T = TypeVar("T")
# Only one of several that come at once gets the row; the others wait for it to be committed.
_TAKE = {
    "mysql": "insert ignore into {table} (call_key) values (:key)",
    "other": "insert into {table} (call_key) values (:key) on conflict (call_key) do nothing",
}
_MISSING = frozenset(("42P01", 1146))
_ROWS = 1


class Keys:
    """The keys in `table`, a plain name that the author wrote, in an open transaction."""

    def __init__(self, database: sqlalchemy.Connection, table: str) -> None:
        self._database = database
        self._table = table

    def take(self, key: str) -> bool:
        """Whether nobody had the key. Raises `BadValue` where there is no such table."""
        name = self._database.dialect.name
        statement = _TAKE["mysql" if name in ("mysql", "mariadb") else "other"]
        try:
            done = self._database.execute(text(statement.format(table=self._table)), {"key": key})
        except (OperationalError, ProgrammingError) as wrong:
            if not _is_missing(wrong):
                raise
            raise BadValue(
                f"there is no table {self._table!r}, which `once` names; make it: create table"
                f" {self._table} (call_key char(32) primary key, done_at timestamp not null default"
                f" current_timestamp, result {_long_text(name)})"
            ) from wrong
        return done.rowcount == _ROWS

    def result(self, key: str, kind: type[T]) -> T:
        """What the call of this key gave."""
        select = f"select result from {self._table} where call_key = :key"  # noqa: S608 - a name of the author's, by a pattern
        stored = self._database.execute(text(select), {"key": key}).scalar_one()
        return msgspec.json.decode(stored, type=kind)

    def store(self, key: str, result: Any) -> None:
        """Keeps what the call gives."""
        update = f"update {self._table} set result = :result where call_key = :key"  # noqa: S608 - as above
        stored = msgspec.json.encode(result).decode()
        self._database.execute(text(update), {"key": key, "result": stored})


def _long_text(dialect: str) -> str:
    return "longtext" if dialect in ("mysql", "mariadb") else "text"


def _is_missing(error: OperationalError | ProgrammingError) -> bool:
    raised: Any = error.orig
    number = raised.args[0] if raised.args else None
    state = getattr(raised, "sqlstate", None)
    return bool(state in _MISSING or number in _MISSING or str(number).startswith("no such table"))
