"""Add an entry to a stream of Redis.

The body stands in one field of the entry, the idempotency key in another. Beside the stream a key
of Redis remembers for a while what was added, so that a repeat adds nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from beltline.modules.publish.message import MessageConfig
from beltline.sdk import (
    ClientFailed,
    Context,
    Duration,
    Example,
    Module,
    Output,
    Reject,
    Retry,
    duration_s,
    field,
)

_KEY = "idempotency-key"
_TYPE = "content-type"
_KNOWN_MOST_S = 30 * 86_400.0


class RedisPublishConfig(MessageConfig, kw_only=True):
    """The stream and the entry."""

    own_headers: ClassVar[tuple[str, ...]] = (_KEY, _TYPE)

    stream: Annotated[
        str, field("Stream", "The key of the stream.", examples=["orders"], min_length=1)
    ]
    field: Annotated[
        str, field("Field", "The field of the entry that holds the body.", min_length=1)
    ] = "body"
    known_for: Annotated[
        Duration,
        field(
            "Known for",
            "How long a repeat is recognised, up to 30d; 0s keeps nothing beside the stream.",
            examples=["1h"],
        ),
    ] = "1h"
    keep: Annotated[
        int | None,
        field(
            "Keep", "Trims the stream to about so many of its newest entries.", examples=[10_000]
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if duration_s(self.known_for) > _KNOWN_MOST_S:
            raise ValueError("`known_for` is more than 30d")
        if self.keep is not None and self.keep < 1:
            raise ValueError("`keep` is less than 1")
        if self.field in (*self.own_headers, *self.headers):
            raise ValueError(f"`field` is {self.field!r}, which another field has already")


class RedisPublishOutput(Output):
    """The entry."""

    id: Annotated[str, field("Id", "The id of the entry in its stream.")]
    repeat: Annotated[bool, field("Repeat", "Whether the entry was there before.")]


async def publish(
    config: RedisPublishConfig, context: Context
) -> RedisPublishOutput | Retry | Reject:
    """Adds the entry, unless it is known."""
    from beltline.clients.redis import PUBLISHER

    body, content_type = config.content
    fields: dict[str, str | bytes] = {
        config.field: body,
        **config.headers,
        _TYPE: content_type,
        _KEY: context.key,
    }
    try:
        async with context.client(PUBLISHER) as redis:
            added = await redis.add(
                config.stream,
                fields,
                key=context.key,
                known_for_ms=round(duration_s(config.known_for) * 1_000),
                keep=config.keep,
            )
    except ClientFailed as failed:
        return failed.outcome
    return RedisPublishOutput(id=added.id, repeat=added.is_repeat)


module = Module(
    name="publish.redis",
    version=1,
    summary="Add an entry to a stream of Redis.",
    description=(
        "The body is one field of the entry, `body` unless `field` names another; the headers,"
        " `content-type` and `idempotency-key` are further ones. The entry is added together with"
        " the key `beltline:{STREAM}:STREAM:KEY`, which holds its id for `known_for`."
        " Redis answers before its disk has the entry unless it"
        " runs with `appendfsync always`, so a crash of Redis may lose the newest. A Redis that is"
        " away, full, loading or a replica is tried again by the step's policy; a key that is no"
        " stream and an account without the rights (XADD, and EVAL, GET and SET for `known_for`)"
        " end the visit. The address of the connection is `redis://` (port 6379) or `rediss://`,"
        " with the number of the database behind the slash. Needs `pip install beltline[redis]`."
    ),
    on_repeat=(
        "Within `known_for` it adds nothing and is told as `repeat`; later it adds a second entry"
        " with the same `idempotency-key`."
    ),
    category="queue",
    icon="send",
    effect="at-least-once",
    connection="redis",
    config=RedisPublishConfig,
    output=RedisPublishOutput,
    handler=publish,
    examples=(
        Example("Hand an order on", {"stream": "orders", "json": {"order": 42}}),
        Example(
            "A stream of the last thousand",
            {"stream": "notes", "text": "Hello", "keep": 1_000, "known_for": "24h"},
        ),
    ),
)
