"""Read JSON from a text or a file."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Annotated, Any

import msgspec

from beltline.modules.content import TextConfig, Unreadable, reading
from beltline.sdk import Bounds, Context, Example, Module, Output, Reject, field

_LARGEST = 2**63


class JsonOutput(Output):
    """What was read."""

    value: Annotated[Any, field("Value", "The value.")]


async def parse(config: TextConfig, context: Context) -> JsonOutput | Reject:
    """Reads the value; what readers disagree on is refused."""
    return await reading(config, context, partial(_value, context.bounds))


def _value(bounds: Bounds, text: str) -> JsonOutput:
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_whole,
            parse_constant=_constant,
        )
        size = len(msgspec.json.encode(value))
    except json.JSONDecodeError as wrong:
        place = f"line {wrong.lineno} column {wrong.colno}"
        raise Unreadable(f"the text is not JSON: {wrong.msg} ({place})") from wrong
    except UnicodeEncodeError as wrong:
        raise Unreadable("a text holds half of a character (a lone surrogate)") from wrong
    except RecursionError as wrong:
        raise Unreadable("lists and objects stand too deep inside each other") from wrong
    if size > bounds.result_bytes:
        raise Unreadable(
            f"the value takes {size:,} bytes, and a result may take {bounds.result_bytes:,} (limit"
            " result_bytes)"
        )
    return JsonOutput(value=value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise Unreadable(f"an object has the key {twice[:100]!r} twice")
    return made


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Unreadable(f"the number {digits[:60]} is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST <= int(digits) < 2 * _LARGEST:
        raise Unreadable(f"the number {digits[:60]} is too large: it has to be sent as a text")
    return int(digits)


def _constant(word: str) -> Any:
    raise Unreadable(f"{word} is no JSON")


module = Module(
    name="json.parse",
    version=1,
    summary="Read JSON from a text or a file.",
    description=(
        "For JSON within JSON, and for files. Equal keys in one object, NaN, numbers that are too"
        " large and half characters are refused: readers disagree on them."
    ),
    category="data",
    icon="braces",
    effect="idempotent",
    on_repeat="It reads the same content again.",
    config=TextConfig,
    output=JsonOutput,
    handler=parse,
    examples=(
        Example(
            "A text", {"text": '{"id": 7, "tags": ["a"]}'}, {"value": {"id": 7, "tags": ["a"]}}
        ),
        Example("A file", {"file": {"blob": "sha256:" + "0" * 64, "name": "order.json"}}),
    ),
)
