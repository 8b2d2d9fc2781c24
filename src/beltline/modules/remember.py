"""Remember a value under a key, for other runs and for later."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import (
    Config,
    Context,
    Duration,
    Example,
    Module,
    Output,
    Reject,
    duration_s,
    field,
)


class RememberConfig(Config):
    """Where to keep what, and for how long."""

    key: Annotated[
        str,
        field(
            "Key",
            "The name to find the value by.",
            examples=["{{ request.phone }}"],
            min_length=1,
            max_length=200,
        ),
    ]
    value: Annotated[
        Any,
        field("Value", "Any JSON value. It replaces one that is there already."),
    ]
    space: Annotated[
        str,
        field(
            "Space",
            "Keys of one space do not meet those of another. All processes share the spaces.",
            examples=["deals"],
            min_length=1,
            max_length=200,
        ),
    ] = "default"
    ttl: Annotated[
        Duration | None,
        field(
            "Time to live",
            "How long the value is kept, such as 24h or 30d. Without it the value stays for good.",
            examples=["24h"],
        ),
    ] = None


class RememberOutput(Output):
    """Where the value is kept."""

    space: Annotated[str, field("Space", "The space that holds the key.")]
    key: Annotated[str, field("Key", "The key of the value.")]


async def remember(config: RememberConfig, context: Context) -> RememberOutput | Reject:
    """Keeps the value; it is durable when the step is completed."""
    ttl_s = None if config.ttl is None else duration_s(config.ttl)
    if ttl_s == 0:
        return Reject("the time to live is 0: the value would be gone at once; use `forget`")
    await context.memory.put(config.space, config.key, config.value, ttl_s=ttl_s)
    return RememberOutput(space=config.space, key=config.key)


module = Module(
    name="remember",
    version=1,
    summary="Remember a value under a key.",
    description="`recall` gives the value back, in any run of any process; `forget` removes it.",
    category="memory",
    icon="bookmark",
    effect="idempotent",
    on_repeat="It puts the same value again, and the time to live begins anew.",
    config=RememberConfig,
    output=RememberOutput,
    handler=remember,
    examples=(
        Example(
            "The deal of a phone number, for a day",
            {"space": "deals", "key": "79161234567", "value": {"id": "410"}, "ttl": "24h"},
            {"space": "deals", "key": "79161234567"},
        ),
    ),
)
