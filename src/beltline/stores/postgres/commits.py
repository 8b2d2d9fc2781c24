"""The hot path: what one batch of the belt writes, as the arrays of one call.

    batch ──> columns ──> commit_1(...) ──> the requests whose identity is taken

Everything is in one statement: the fence, the rows, and what becomes of the runs. So a commit costs
one way to the server and back, and a node that is paused in the middle of it holds no lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from beltline.engine.records import Batch, Expectation, NewRequest, Repeat

COMMIT = (
    "SELECT * FROM beltline.commit_1("
    + ", ".join(
        f"${number}::{kind}"
        for number, kind in enumerate(
            (
                *("bigint", "bigint"),
                *("uuid[]", "text[]", "text[]", "bigint[]", "bytea[]", "bytea[]"),
                *("uuid[]", "text[]", "text[]", "bytea[]", "boolean[]", "bigint[]", "bigint[]"),
                *("uuid[]", "text[]", "bytea[]", "bigint[]", "bigint[]", "bytea[]", "boolean"),
                *("uuid[]", "bigint[]", "text[]", "bigint[]", "boolean[]"),
                *("uuid[]", "integer[]", "bytea[]"),
                *("uuid[]", "text[]", "bigint[]", "boolean[]"),
                "bigint[]",
                *("uuid[]", "text[]", "integer[]"),
                *("uuid[]", "text[]", "integer[]", "text[]", "bytea[]", "bytea[]", "bigint[]"),
                *("uuid[]", "bytea[]", "bigint[]"),
            ),
            1,
        )
    )
    + ")"
)

_REQUEST = attrgetter("key", "source", "process", "accepted_at", "body", "meta")
_RUN = attrgetter("key", "version_id", "status", "ready_at", "owned")
_ROW = attrgetter("key", "seq", "entry")
_MESSAGE = attrgetter("key", "body", "at")
_CHANGE = attrgetter("key", "status", "ready_at", "owned")


def arguments(batch: Batch) -> list[Any]:
    """The arrays of a batch, in the order of `COMMIT` from the third on. Raises `ValueError` for a
    request that would have neither a run nor a place in a buffer, or both.
    """
    for acceptance in batch.acceptances:
        acceptance.check()
    requests = [acceptance.request for acceptance in batch.acceptances]
    named = sorted(
        (request for request in requests if request.identity is not None),
        key=lambda request: (request.source, encoded(request.identity)),
    )
    names = {(request.source, request.identity) for request in named}
    runs = [acceptance.run for acceptance in batch.acceptances if acceptance.run is not None]
    rows = [row for acceptance in batch.acceptances for row in acceptance.rows]
    # Of several changes of one run the last stands.
    changes = {change.key: change for change in batch.changes}.values()
    return [
        *columns(map(_REQUEST, requests), 6),
        *columns([held_columns(request) for request in requests if request.held], 7),
        *columns(map(identity_columns, named), 6),
        len(names) < len(named),
        *columns(map(_RUN, runs), 5),
        *columns(map(_ROW, (*rows, *batch.journal)), 3),
        *columns(map(_CHANGE, changes), 4),
        batch.messages_done,
        *columns(batch.awaited_no_more, 3),
        *columns(map(awaited_columns, batch.awaited), 7),
        *columns(map(_MESSAGE, batch.messages), 3),
    ]


def awaited_columns(one: Expectation) -> tuple[Any, ...]:
    """What a visit waits for."""
    name, key = encoded(one.name), encoded(one.event_key)
    return (one.key, one.step, one.visit, one.kind, name, key, one.at)


def held_columns(request: NewRequest) -> tuple[Any, ...]:
    """How a request waits in its buffer."""
    return (
        request.key,
        request.source,
        request.process,
        encoded(request.line),
        request.passes_stopped,
        request.place,
        request.expires_at,
    )


def identity_columns(request: NewRequest) -> tuple[Any, ...]:
    """What is kept of a request under its identity."""
    return (
        request.key,
        request.source,
        encoded(request.identity),
        request.accepted_at,
        request.identity_until,
        request.body_hash,
    )


def encoded(text: str | None) -> bytes:
    """Text of a sender as bytes: PostgreSQL's text has no zero character."""
    return (text or "").encode("utf-8", "surrogatepass")


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Any]:
    """Rows turned on their side."""
    turned = list(zip(*rows, strict=True))
    return turned or [()] * width


def answers(batch: Batch, refused: list[Any]) -> list[Repeat | None]:
    """The answer for each acceptance."""
    if not refused:
        return [None] * len(batch.acceptances)
    repeats = {key: Repeat(first, same_body) for key, first, same_body in refused}
    return [repeats.get(acceptance.request.key) for acceptance in batch.acceptances]
