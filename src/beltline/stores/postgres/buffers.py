"""The part of the store about requests that wait in their source's buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beltline.engine.ids import key_at
from beltline.engine.records import (
    Collection,
    Due,
    HeldCount,
    HeldFilter,
    HeldRequest,
    Released,
    ReleaseOrder,
    StoredRequest,
)
from beltline.stores.postgres import statements
from beltline.stores.postgres.commits import columns, encoded
from beltline.stores.postgres.statements import HELD

WITHOUT_BOUND = 2**62


class BufferCalls:
    """Fulfils `engine.buffer_store.BufferStore`; whoever inherits it carries the statements out."""

    async def _change(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    async def release(self, order: ReleaseOrder, now: int) -> Released:
        window, due = order.window, order.due
        rows = await self._change(
            statements.RELEASE,
            order.source,
            *columns_of(order.versions),
            *(order.limit, now),
            *((window.name, window.at_most, window.every_ms) if window else (None, None, None)),
            *((due.at, most_of(due), key_at(due.at)) if due else (None,) * 3),
        )
        return Released(*rows[0])

    async def let_go(
        self, keys: Sequence[bytes], versions: Mapping[str, int], now: int, message: bytes | None
    ) -> int:
        rows = await self._change(statements.LET_GO, keys, *columns_of(versions), now, message)
        return int(rows[0][0])

    async def collect(self, collection: Collection) -> bool:
        collection.acceptance.check_scheduled()
        rows = await self._change(statements.COLLECT, *collected(collection))
        return bool(rows[0][0])

    async def put_first(self, keys: Sequence[bytes], *, first: bool) -> int:
        return int((await self._change(statements.PUT_FIRST, keys, first))[0][0])

    async def held(self, source: str | None) -> dict[str, HeldCount]:
        rows = await self._read(statements.COUNT_HELD, source)
        return {name: HeldCount(number, oldest) for name, number, oldest in rows}

    async def waiting(
        self, filter: HeldFilter, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[HeldRequest]:
        rows = await self._read(*listed(filter, limit, after))
        return [held_request(row) for row in rows]

    async def last_in_line(self) -> bytes | None:
        rows = await self._read(statements.LAST_IN_LINE)
        return rows[0][0] if rows else None

    async def requests(self, keys: Sequence[bytes]) -> list[StoredRequest]:
        return [StoredRequest(*row) for row in await self._read(statements.REQUESTS, keys)]

    async def expired(self, processes: Sequence[str], now: int, limit: int) -> list[HeldRequest]:
        rows = await self._read(statements.EXPIRED, now, processes, limit)
        return [held_request(row) for row in rows]


def columns_of(versions: Mapping[str, int]) -> tuple[list[str], list[int]]:
    """Processes and their versions."""
    return list(versions), list(versions.values())


def most_of(due: Due) -> int:
    """How many may go at a due time."""
    return WITHOUT_BOUND if due.at_most is None else due.at_most


def collected(collection: Collection) -> list[Any]:
    """The values of `COLLECT`."""
    request, run = collection.acceptance.request, collection.acceptance.run
    assert run is not None
    return [
        *columns([(run.key, run.version_id, run.status) for run in collection.members], 3),
        *columns([(row.key, row.seq, row.entry) for row in collection.rows], 3),
        *(request.key, request.source, request.process, request.accepted_at),
        *(request.body, request.meta, run.version_id, run.status, run.ready_at),
    ]


def listed(filter: HeldFilter, limit: int, after: tuple[int, bytes] | None) -> tuple[Any, ...]:
    """The statement of `Store.waiting`, and its values."""
    tests: list[str] = []
    values: list[Any] = []
    place, key = after or (None, None)
    for test, value in (
        ("held.source = {}", filter.source),
        ("process = {}", filter.process),
        ("held.line = {}", None if filter.line is None else encoded(filter.line)),
        ("held.key = ANY ({})", filter.keys),
        ("held.key >= {}", None if filter.since is None else key_at(filter.since)),
        ("held.key < {}", None if filter.until is None else key_at(filter.until)),
        ("place >= {}", place),
    ):
        if value is not None:
            values.append(value)
            tests.append(test.format(f"${len(values)}"))
    if filter.may_go:
        tests.append("is_head")
    if key is not None:
        values.append(key)
        tests.append(f"(place, held.key) > (${len(values) - 1}, ${len(values)})")
    values.append(limit)
    statement = f"{HELD} WHERE {' AND '.join(tests)} ORDER BY place, held.key LIMIT ${len(values)}"
    return (statement, *values)


def held_request(row: Any) -> HeldRequest:
    """The request in a row of `HELD`."""
    key, source, process, line, place, expires_at, behind = row
    text = line.decode("utf-8", "surrogatepass")
    return HeldRequest(key, source, process, text, place, expires_at, behind)
