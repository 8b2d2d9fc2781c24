"""Requests that wait in their source's buffer: the values of statements, and rows read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beltline.engine.records import Collection, Due, HeldFilter, HeldRequest
from beltline.stores.postgres.commits import columns, encoded
from beltline.stores.postgres.statements import HELD

WITHOUT_BOUND = 2**62


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


def waiting(filter: HeldFilter, limit: int, after: tuple[int, bytes] | None) -> tuple[Any, ...]:
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


def key_at(time: int) -> bytes:
    """The least key of a time."""
    return max(0, min(time, (1 << 48) - 1)).to_bytes(6) + bytes(10)
