"""Requests that started nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
from msgspec.structs import astuple

from beltline.engine.ids import key_at
from beltline.engine.verdict_store import Verdict, VerdictFilter

_COLUMNS = (
    "key, source, outcome, status, kind, detail, of, meta, size, content_type, encoding, {},"
    " settled_as, settled_by"
)

# Keeps a verdict; the columns stand in the order of `Verdict`.
KEEP = (
    f"INSERT INTO verdict ({_COLUMNS.format('body')})"
    f" VALUES ({', '.join('?' * 14)}) ON CONFLICT (key) DO NOTHING"
)

# One verdict, whole.
ONE = f"SELECT {_COLUMNS.format('body')} FROM verdict WHERE key = ?"

# Verdicts without their bodies.
LIST = f"SELECT {_COLUMNS.format('NULL')} FROM verdict"

# What a person made of a request.
SETTLE = "UPDATE verdict SET settled_as = ?, settled_by = ? WHERE key = ?"

# Removes what is older than a key, and of each source what is beyond its newest so many. The
# sources are found by one look into the index each.
PURGE = (
    "WITH RECURSIVE named (source) AS ("
    "  SELECT min(source) FROM verdict UNION ALL"
    "  SELECT (SELECT min(source) FROM verdict WHERE source > named.source)"
    "  FROM named WHERE named.source IS NOT NULL"
    "), beyond (source, key) AS ("
    "  SELECT source, (SELECT key FROM verdict WHERE verdict.source = named.source"
    "    ORDER BY key DESC LIMIT 1 OFFSET ?2)"
    "  FROM named WHERE source IS NOT NULL"
    ") DELETE FROM verdict WHERE key IN ("
    "  SELECT key FROM verdict WHERE key < ?1 UNION"
    "  SELECT verdict.key FROM beyond JOIN verdict"
    "    ON verdict.source = beyond.source AND verdict.key <= beyond.key"
    "  LIMIT ?3)"
)


def keep(db: apsw.Connection, verdicts: Sequence[Verdict]) -> None:
    """See `Store.keep_verdicts`."""
    db.executemany(KEEP, map(astuple, verdicts))


def verdicts(db: apsw.Connection, filter: VerdictFilter, limit: int) -> list[Verdict]:
    """See `Store.verdicts`."""
    tests: list[str] = []
    values: list[Any] = []
    for test, value in (
        ("source = ?", filter.source),
        ("outcome = ?", filter.outcome),
        ("key >= ?", None if filter.since is None else key_at(filter.since)),
        ("key < ?", None if filter.until is None else key_at(filter.until)),
        ("key < ?", filter.before),
    ):
        if value is not None:
            tests.append(test)
            values.append(value)
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    rows = db.execute(f"{LIST}{where} ORDER BY key DESC LIMIT ?", (*values, limit))
    return [Verdict(*row) for row in rows]


def verdict(db: apsw.Connection, key: bytes) -> Verdict | None:
    """See `Store.verdict`."""
    row = db.execute(ONE, (key,)).fetchone()
    return None if row is None else Verdict(*row)


def settle(db: apsw.Connection, key: bytes, settled_as: bytes, by: str) -> None:
    """See `Store.settle_verdict`."""
    db.execute(SETTLE, (settled_as, by, key))


def purge(db: apsw.Connection, before: int, most: int, limit: int) -> int:
    """See `Store.purge_verdicts`."""
    db.execute(PURGE, (key_at(before), most, limit))
    return db.changes()
