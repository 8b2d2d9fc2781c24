"""`schema`: the JSON Schema that every request of a source must fit, compiled once.

Nothing is fetched: a `$ref` leads to a place of the same schema, or to one of the drafts. Patterns
are regular expressions that take linear time, since senders choose what they are matched against.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.shape import read_object

_LINEAR = jsonschema_rs.RegexOptions()
_REFERENCES = 20  # one after the other; longer ways lead in a circle
_VALUE = "the value"  # what stands in a message instead of what was sent


class RequestSchema:
    """A schema that is right: `data` is what the file says."""

    __slots__ = ("data", "validator")

    def __init__(self, data: dict[str, Any], validator: jsonschema_rs.Validator) -> None:
        self.data = data
        self.validator = validator

    def followed(self, part: Any) -> dict[str, Any]:
        """A part of the schema, or what its `$ref` leads to within the same schema; nothing where
        that cannot be told.
        """
        for _ in range(_REFERENCES):
            if not isinstance(part, dict):
                return {}
            reference = part.get("$ref")
            if not isinstance(reference, str):
                return part
            part = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        """What stands at a pointer such as `#/$defs/address`."""
        part: Any = self.data
        for token in unquote(reference.removeprefix("#")).split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            part = part.get(name) if isinstance(part, dict) else None
        return part if reference.startswith("#") else None


def read_schema(report: Report, value: Any) -> RequestSchema | None:
    """Reads the key `schema`; None where it is wrong, which is reported at its place."""
    at: Place = ("schema",)
    data = read_object(report, value, at, "schema")
    if data is None:
        return None
    if _is_deep(data, LIMITS.schema_depth):
        report.error(
            at,
            f"the schema nests more than {LIMITS.schema_depth} levels deep (limit schema_depth)",
        )
        return None
    try:
        # Once for what is wrong with it, in its own words, and once for requests, whose values
        # must not come back in messages.
        _compiled(data, None)
        validator = _compiled(data, _VALUE)
    except jsonschema_rs.ValidationError as wrong:
        report.error((*at, *wrong.instance_path), f"the schema is wrong: {_short(wrong.message)}")
    except (jsonschema_rs.ReferencingError, ValueError) as wrong:
        report.error(at, f"the schema is wrong: {_short(str(wrong))}")
    else:
        return RequestSchema(data, validator)
    return None


def _compiled(data: dict[str, Any], mask: str | None) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        data, validate_formats=True, pattern_options=_LINEAR, mask=mask, offline=True
    )


def _is_deep(value: Any, most: int) -> bool:
    """Whether lists and objects nest more than `most` deep."""
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _short(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:300]}…"
