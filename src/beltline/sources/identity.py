"""What makes two requests of a source the same one: the value of the source's own expression."""

from __future__ import annotations

from typing import Any

from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.path import MISSING
from beltline.core.template import Template
from beltline.sources.json_body import canonical
from beltline.sources.refusal import RequestRefused


def identity_of(by: Template, document: dict[str, Any], scope: Scope, *, bytes_most: int) -> str:
    """The identity of a request, told from `request` and `meta`. Raises `RequestRefused` (422)
    where there is no value, or one longer than `bytes_most`.
    """
    try:
        value = by.resolve(document, scope)
    except ExpressionFailed as failed:
        raise _refused(
            "no-identity", f"The identity of the request cannot be told: {failed}"
        ) from failed
    if value is MISSING or value is None or value == "":
        raise _refused(
            "no-identity",
            "The request has no value for its identity, by which this source tells repeats.",
        )
    return text_of(value, "identity", bytes_most=bytes_most)


def text_of(value: Any, what: str, *, bytes_most: int) -> str:
    """A value as the text that it is told by: a text as it is, anything else as JSON, so that 17
    and "17" are the same. Raises `RequestRefused` (422).
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        text = value if isinstance(value, str) else canonical(value).decode()
    except TypeError as wrong:  # what orjson raises for integers beyond 64 bits, too
        raise _refused(f"no-{what}", f"The {what} of the request is too large a number.") from wrong
    length = len(text.encode("utf-8", "surrogatepass"))
    if length > bytes_most:
        raise _refused(
            f"no-{what}",
            f"The {what} of the request takes {length:,} bytes, more than {bytes_most:,}"
            " (limit identity_bytes).",
        )
    return text


def _refused(kind: str, detail: str) -> RequestRefused:
    return RequestRefused(422, kind, detail)
