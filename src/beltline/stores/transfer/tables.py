"""What there is to carry: every table, as rows of plain values that both kinds of stores know.

Keys, bodies and all text of senders are bytes, other text is `str`, numbers and times are `int`. So
a row is the same value whichever store it was read from, and two stores are compared with `==`.
Rows come in the order of their keys; bytes and text are ordered by their bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from beltline.engine.ids import id_of
from beltline.stores.errors import StoreUnavailable

CHUNK_ROWS = 1_000
CHUNK_BYTES = 4_194_304  # a few chunks are in memory at once, each with at most one large row more

Row = tuple[Any, ...]


class MoveFailed(StoreUnavailable):
    """The operator: the new store is as it was before; the message says why, and what to do."""


def not_empty(store: str, table: str) -> MoveFailed:
    """Why a store cannot be moved to."""
    return MoveFailed(
        f"the store {store} is not empty (there are rows in its table {table}): a hub is moved"
        " only to a new one"
    )


class Table(msgspec.Struct, frozen=True):
    """One table. The first `key` of its columns name a row and order the rows. `at_once` rows of
    the largest size fit into memory together.
    """

    name: str
    columns: tuple[str, ...]
    key: int = 1
    at_once: int = CHUNK_ROWS

    def named(self, row: Row) -> str:
        """Which row it is, for a message; a key says nothing of what is in it."""
        pairs = zip(self.columns[: self.key], row, strict=False)
        return ", ".join(f"{column} {_readable(value)}" for column, value in pairs)


# A row that is named by another one comes after it. Of an open run `owner` says only whether it
# has one: whose number that is counts in its own store alone.
TABLES = (
    Table(
        "version",
        ("id", "process", "version", "format", "text", "hash", "published_at"),
        at_once=4,  # 16 MiB each
    ),
    Table(
        "request",
        ("key", "source", "process", "accepted_at", "body", "meta"),
        at_once=64,  # 1 MiB each, like the values and most entries of journals
    ),
    Table("run", ("key", "version_id", "status", "ready_at", "owner", "crashes")),
    Table("journal", ("run", "seq", "entry"), key=2, at_once=64),
    Table("held", ("key", "source", "process", "line", "place", "expires_at", "is_head")),
    Table("line", ("source", "line", "head", "passes_stopped"), key=2),
    Table("due", ("source", "at", "remaining")),
    Table("identity", ("source", "identity", "until", "key", "body_hash"), key=2),
    Table("inbox", ("id", "run", "at", "body"), at_once=64),
    Table("awaited", ("run", "step", "visit", "kind", "name", "key", "at"), key=3),
    Table(
        "event",
        ("id", "name", "key", "at", "keep_until", "forget_at", "hash", "runs", "body"),
        at_once=64,
    ),
    Table("allowance", ("name", "last_at", "every_ms")),
    Table("allowance_use", ("name", "at", "uses"), key=3),
    Table("firing", ("schedule", "due_at")),
    Table("remembered", ("space", "key", "value", "expires_at"), key=2, at_once=64),
    Table("token", ("hash", "role", "name", "created_at")),
    Table("source_state", ("source", "state")),
    Table(
        "verdict",
        (
            *("key", "source", "outcome", "status", "kind", "detail", "of", "meta", "size"),
            *("content_type", "encoding", "body", "settled_as", "settled_by"),
        ),
        at_once=64,
    ),
)
# The tables whose ids the store gives: one that was given once is never given again.
NUMBERED = ("version", "inbox")

# How the columns of an open run are read, in the SQL of either store. Where a run's node is gone,
# it is let go of as `join` would do it: ready at once, with one crash more.
AS_IT_IS = {"owner": "CASE WHEN owner IS NULL THEN NULL ELSE 1 END"}
RECOVERED = {
    "ready_at": "CASE WHEN owner IS NULL THEN ready_at ELSE 0 END",
    "owner": "CAST(NULL AS bigint)",
    "crashes": "crashes + CASE WHEN owner IS NULL THEN 0 ELSE 1 END",
}


class Reading(Protocol):
    """A store as of one moment."""

    def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """The rows of a table in the order of their keys, in chunks that are not empty."""
        ...

    async def span(self) -> tuple[bytes, bytes] | None:
        """The first and the last key of a request; None where there is none."""
        ...

    async def last_id(self, table: str) -> int:
        """The greatest id that a table of `NUMBERED` gave out, 0 if none."""
        ...

    async def owned(self) -> int:
        """How many runs have an owner."""
        ...


class Writing(Protocol):
    """An empty store inside of a transaction, which sees what it wrote."""

    def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """See `Reading.rows`."""
        ...

    async def prepare(self, first: bytes, last: bytes) -> None:
        """Makes room for requests from the first key to the last."""
        ...

    async def write(self, table: Table, rows: list[Row]) -> None:
        """Adds rows. Raises `MoveFailed` for one that this kind of store cannot hold."""
        ...

    async def seal(self, last_ids: dict[str, int]) -> None:
        """Ends the writing: ids that are given from here on are greater than these."""
        ...


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in lists that are not empty, bounded in number and in bytes."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += row_size(row)
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def row_size(row: Sequence[Any]) -> int:
    """About how many bytes a row holds."""
    return sum(len(value) for value in row if isinstance(value, bytes | str))


def _readable(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    if len(value) == 16:
        return id_of(value)
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()
