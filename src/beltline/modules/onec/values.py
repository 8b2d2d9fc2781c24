"""Conditions of OData whose values are bound: what comes in can never become part of a condition.

A condition is written in the process, with `:name` for each value. A text becomes a literal with
its quotes doubled, numbers and truth values become themselves. References and moments have literals
of their own: `{guid: …}` and `{datetime: …}`, each checked for its shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from beltline.modules.onec.client import rejected
from beltline.sdk import field

Parameters = Annotated[
    dict[str, Any],
    field(
        "Parameters",
        "The values of the condition, by name: a text, a number, true, false, null,"
        " `{guid: …}` or `{datetime: …}`.",
        examples=[{"inn": "{{ request.inn }}", "owner": {"guid": "{{ owner.Ref_Key }}"}}],
    ),
]
_CHARACTERS = 2_000  # of a text: 1C refuses addresses that are much longer
# A literal of the condition's own, in which nothing is bound; or the place of a value.
_PARTS = re.compile(r"'(?:[^']|'')*'|:([A-Za-z_]\w*)")


def bound(condition: str, parameters: Mapping[str, Any]) -> str:
    """The condition with its values. Raises `ClientFailed` for one without a value, a value that
    nothing names, and a value that cannot be one.
    """
    named: set[str] = set()

    def literal(part: re.Match[str]) -> str:
        name = part[1]
        if name is None:
            return part[0]
        if name not in parameters:
            raise rejected(f"the filter names :{name}, and `parameters` have no such value")
        named.add(name)
        return _literal(name, parameters[name])

    text = _PARTS.sub(literal, condition)
    unused = sorted(parameters.keys() - named)
    if unused:
        raise rejected(f"`parameters` have {unused[0]!r}, which the filter does not name")
    return text


def guid(value: str, name: str) -> str:
    """A reference in the one notation that 1C writes. Raises `ClientFailed`."""
    try:
        return str(UUID(hex=value.strip()))
    except ValueError:
        raise rejected(f"`{name}` is {value[:60]!r}, and a reference of 1C is a GUID") from None


def _literal(name: str, value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            if len(value) > _CHARACTERS:
                raise rejected(f"the value of :{name} has more than {_CHARACTERS:,} characters")
            return "'" + value.replace("'", "''") + "'"
        case {"guid": str(text), **rest} if not rest:
            return f"guid'{guid(text, name)}'"
        case {"datetime": str(text), **rest} if not rest:
            return f"datetime'{_moment(text, name)}'"
        case _:
            raise rejected(
                f"the value of :{name} is neither a text, a number, true, false, null, {{guid: …}}"
                " nor {datetime: …}"
            )


def _moment(text: str, name: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise rejected(f"the value of :{name} is no date in ISO 8601: {text[:40]!r}") from None
    # 1C knows no zones: a moment there is the infobase's own time.
    return moment.replace(tzinfo=None, microsecond=0).isoformat()
