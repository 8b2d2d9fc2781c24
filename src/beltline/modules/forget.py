"""Remove a value that was remembered."""

from __future__ import annotations

from typing import Annotated

from beltline.sdk import Config, Context, Example, Module, Output, field


class ForgetConfig(Config):
    """What to remove."""

    key: Annotated[
        str,
        field(
            "Key",
            "The name that the value was remembered by.",
            examples=["{{ request.phone }}"],
            min_length=1,
            max_length=200,
        ),
    ]
    space: Annotated[
        str,
        field(
            "Space",
            "The space that the key is in.",
            examples=["deals"],
            min_length=1,
            max_length=200,
        ),
    ] = "default"


class ForgetOutput(Output):
    """What was removed."""

    forgotten: Annotated[
        bool,
        field("Forgotten", "Whether there was a value. A repeated attempt may find it gone."),
    ]


async def forget(config: ForgetConfig, context: Context) -> ForgetOutput:
    """Removes the value for every run."""
    return ForgetOutput(forgotten=await context.memory.delete(config.space, config.key))


module = Module(
    name="forget",
    version=1,
    summary="Remove a value that was remembered.",
    category="memory",
    icon="eraser",
    effect="idempotent",
    on_repeat="It finds the value gone: `forgotten` is false then.",
    config=ForgetConfig,
    output=ForgetOutput,
    handler=forget,
    examples=(
        Example(
            "Nothing is there to remove",
            {"space": "deals", "key": "79161234567"},
            {"forgotten": False},
        ),
    ),
)
