"""The texts of a form -> the types that the source's schema names.

A form carries nothing but texts. Where the schema says integer, number or boolean, a text that is
one is read as such; a field that was left empty and is not required is no value, unless the schema
takes any text there. What is no number stays a text, and the schema tells that it does not fit.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from beltline.definition.request_schema import RequestSchema

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?\Z")
_TRUE = ("true", "on", "1")
_FALSE = ("false", "off", "0")


def typed_by(schema: RequestSchema, value: Any) -> Any:
    """The value of a form, or of a part of it, with types."""
    return _typed(schema, schema.data, value)


def _typed(schema: RequestSchema, part: Any, value: Any) -> Any:
    """Recursion is bounded by the depth of the value, which is checked."""
    told = schema.followed(part)
    if isinstance(value, str):
        return _typed_text(told, value)
    if isinstance(value, list):
        items = told.get("items")
        return [_typed(schema, items, one) for one in value]
    if isinstance(value, dict):
        return _typed_object(schema, told, value)
    return value


def _typed_object(schema: RequestSchema, told: dict[str, Any], value: dict[str, Any]) -> Any:
    properties, required = told.get("properties"), told.get("required", ())
    if not isinstance(properties, dict):
        return value
    typed = {}
    for key, one in value.items():
        part = properties.get(key)
        if part is None:
            typed[key] = one
        elif one != "" or key in required or _takes_empty(schema.followed(part)):
            typed[key] = _typed(schema, part, one)
    return typed


def _takes_empty(told: dict[str, Any]) -> bool:
    """Whether an empty text is a value here like any other."""
    narrowing = ("format", "enum", "const", "pattern", "minLength")
    return told.get("type") == "string" and not any(key in told for key in narrowing)


def _typed_text(told: dict[str, Any], text: str) -> Any:
    kind = told.get("type")
    if kind in ("integer", "number"):
        return _number(text)
    if kind == "boolean":
        return True if text in _TRUE else False if text in _FALSE else text
    if kind is None and "enum" in told:
        return _option(told["enum"], text)
    return text


def _number(text: str) -> Any:
    stripped = text.strip()
    if not _NUMBER.match(stripped):
        return text
    try:
        number = orjson.loads(stripped)
    except orjson.JSONDecodeError:  # beyond what a double can hold
        return text
    # An integer beyond 64 bits comes as a double, with other digits.
    return text if isinstance(number, float) and stripped.lstrip("-").isdigit() else number


def _option(options: list[Any], text: str) -> Any:
    """A number among the options, chosen by its text."""
    if text in options:
        return text
    for option in options:
        if isinstance(option, int | float) and not isinstance(option, bool) and text == f"{option}":
            return option
    return text
