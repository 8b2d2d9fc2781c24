"""Give back a value that was remembered."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import Config, Context, Example, Module, Output, field


class RecallConfig(Config):
    """Where to look."""

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
    default: Annotated[
        Any,
        field("Default", "The value to give where nothing is remembered, or no longer."),
    ] = None


class RecallOutput(Output):
    """What was found."""

    found: Annotated[bool, field("Found", "Whether the key holds a value.")]
    value: Annotated[Any, field("Value", "The remembered value, or the default.")]


async def recall(config: RecallConfig, context: Context) -> RecallOutput:
    """Looks the value up; one whose time has run out is not found."""
    value = await context.memory.get(config.space, config.key)
    if value is None:
        return RecallOutput(found=False, value=config.default)
    return RecallOutput(found=True, value=value)


module = Module(
    name="recall",
    version=1,
    summary="Give back a value that was remembered.",
    description="A remembered null counts as nothing remembered.",
    category="memory",
    icon="book-open",
    effect="idempotent",
    on_repeat="It looks again, and finds what stands there now.",
    config=RecallConfig,
    output=RecallOutput,
    handler=recall,
    examples=(
        Example(
            "Nothing is remembered yet",
            {"space": "deals", "key": "79161234567", "default": ""},
            {"found": False, "value": ""},
        ),
    ),
)
