"""The part of the store about requests that started nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple

from beltline.engine.ids import key_at
from beltline.engine.verdict_store import Verdict, VerdictFilter
from beltline.stores.postgres.commits import columns

_COLUMNS = (
    "key, source, outcome, status, kind, detail, of, meta, size, content_type, encoding, {},"
    " settled_as, settled_by"
)
_TYPES = (
    *("uuid", "text", "text", "integer", "text", "text", "uuid", "bytea", "bigint"),
    *("text", "text", "bytea", "uuid", "text"),
)

# Keeps verdicts; the columns stand in the order of `Verdict`.
KEEP = (
    f"INSERT INTO beltline.verdict ({_COLUMNS.format('body')}) SELECT * FROM unnest("
    + ", ".join(f"${number}::{type}[]" for number, type in enumerate(_TYPES, 1))
    + ") ON CONFLICT (key) DO NOTHING"
)

# One verdict, whole.
ONE = f"SELECT {_COLUMNS.format('body')} FROM beltline.verdict WHERE key = $1"

# Verdicts without their bodies.
LIST = f"SELECT {_COLUMNS.format('NULL::bytea')} FROM beltline.verdict"

# What a person made of a request.
SETTLE = "UPDATE beltline.verdict SET settled_as = $2, settled_by = $3 WHERE key = $1"

# Removes what is older than a key, and of each source what is beyond its newest so many; what
# another node removes right now is left to it. The sources are found by one look into the index
# each.
PURGE = (
    "WITH RECURSIVE named (source) AS ("
    "  (SELECT source FROM beltline.verdict ORDER BY source LIMIT 1) UNION ALL"
    "  SELECT (SELECT source FROM beltline.verdict WHERE verdict.source > named.source"
    "    ORDER BY source LIMIT 1)"
    "  FROM named WHERE named.source IS NOT NULL"
    "), beyond (source, key) AS ("
    "  SELECT source, (SELECT key FROM beltline.verdict WHERE verdict.source = named.source"
    "    ORDER BY key DESC LIMIT 1 OFFSET $2)"
    "  FROM named WHERE source IS NOT NULL"
    "), old (key) AS ("
    "  SELECT key FROM beltline.verdict WHERE key < $1 UNION"
    "  SELECT verdict.key FROM beyond JOIN beltline.verdict"
    "    ON verdict.source = beyond.source AND verdict.key <= beyond.key"
    "  LIMIT $3"
    "), gone AS ("
    "  DELETE FROM beltline.verdict WHERE key IN (SELECT verdict.key FROM beltline.verdict"
    "    JOIN old ON old.key = verdict.key FOR UPDATE OF verdict SKIP LOCKED) RETURNING 1"
    ") SELECT count(*) FROM gone"
)


class VerdictCalls:
    """Fulfils `engine.verdict_store.VerdictStore`; whoever inherits it asks the database."""

    async def _change(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        rows = [astuple(one) for one in verdicts]
        await self._change(KEEP, *columns(rows, len(_TYPES)))

    async def verdicts(self, filter: VerdictFilter, limit: int) -> list[Verdict]:
        tests: list[str] = []
        values: list[Any] = []
        for test, value in (
            ("source = {}", filter.source),
            ("outcome = {}", filter.outcome),
            ("key >= {}", None if filter.since is None else key_at(filter.since)),
            ("key < {}", None if filter.until is None else key_at(filter.until)),
            ("key < {}", filter.before),
        ):
            if value is not None:
                values.append(value)
                tests.append(test.format(f"${len(values)}"))
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        values.append(limit)
        rows = await self._read(f"{LIST}{where} ORDER BY key DESC LIMIT ${len(values)}", *values)
        return [Verdict(*row) for row in rows]

    async def verdict(self, key: bytes) -> Verdict | None:
        rows = await self._read(ONE, key)
        return Verdict(*rows[0]) if rows else None

    async def settle_verdict(self, key: bytes, settled_as: bytes, by: str) -> None:
        await self._change(SETTLE, key, settled_as, by)

    async def purge_verdicts(self, before: int, most: int, limit: int) -> int:
        return int((await self._change(PURGE, key_at(before), most, limit))[0][0])
