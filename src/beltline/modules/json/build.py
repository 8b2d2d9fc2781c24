"""Write a value as JSON, as a text or a file."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

from beltline.modules.content import ContentOutput, FileName, giving
from beltline.sdk import Config, Context, Example, Module, Reject, field


class JsonBuildConfig(Config):
    """What to write, and how."""

    value: Annotated[Any, field("Value", "Any value.", examples=["{{ request }}"])]
    indent: Annotated[
        int, field("Indent", "By how many spaces lines are set in; 0 gives one line.", ge=0, le=8)
    ] = 0
    sorted: Annotated[
        bool, field("Sorted", "Whether keys stand in order, so that equal values are equal texts.")
    ] = False
    name: FileName = None


async def build(config: JsonBuildConfig, context: Context) -> ContentOutput | Reject:
    """Writes the value."""
    return await giving(config.name, context, "application/json", partial(_text, config))


def _text(config: JsonBuildConfig) -> str:
    return json.dumps(
        config.value,
        ensure_ascii=False,
        allow_nan=False,
        indent=config.indent or None,
        separators=None if config.indent else (",", ":"),
        sort_keys=config.sorted,
    )


module = Module(
    name="json.build",
    version=1,
    summary="Write a value as JSON, as a text or a file.",
    category="data",
    icon="braces",
    effect="idempotent",
    on_repeat="It makes the same content again, which is kept once.",
    config=JsonBuildConfig,
    output=ContentOutput,
    handler=build,
    examples=(
        Example(
            "A text with its keys in order",
            {"value": {"b": 1, "a": "é"}, "sorted": True},
            {"text": '{"a":"é","b":1}', "file": None},
        ),
        Example("A file", {"value": [1, 2], "name": "numbers.json", "indent": 2}),
    ),
)
