"""Write a line to the hub's log: a note for whoever operates it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from beltline.sdk import Config, Context, Example, Module, Output, field


class LogConfig(Config):
    """What to write, and how loudly."""

    message: Annotated[
        str,
        field(
            "Message",
            "The line to write.",
            examples=["A deal without a contact."],
            min_length=1,
            max_length=2_000,
        ),
    ]
    level: Annotated[
        Literal["info", "warning"],
        field("Level", "`info` for what may be read, `warning` for what should be looked at."),
    ] = "info"
    fields: Annotated[
        Mapping[str, Any],
        field(
            "Fields",
            "Values to write beside the message, by name.",
            examples=[{"deal": "{{ get-bitrix-deal.value }}"}],
        ),
    ] = {}


class LogOutput(Output):
    """What was written."""

    message: Annotated[str, field("Message", "The line that was written.")]


async def write_line(config: LogConfig, context: Context) -> LogOutput:
    """Writes the line; the logger adds the run and the step."""
    log = context.log
    write = log.warning if config.level == "warning" else log.info
    # Fields of the author's own stay under one name: they cannot pass for those of the hub.
    write(config.message, fields=dict(config.fields))
    return LogOutput(message=config.message)


module = Module(
    name="log",
    version=1,
    summary="Write a line to the hub's log.",
    category="log",
    icon="file-text",
    effect="at-least-once",
    on_repeat="It writes the line again.",
    config=LogConfig,
    output=LogOutput,
    handler=write_line,
    examples=(
        Example(
            "A warning with a value",
            {"message": "No contact.", "level": "warning", "fields": {"phone": "79161234567"}},
            {"message": "No contact."},
        ),
    ),
)
