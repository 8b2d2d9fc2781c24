"""Whether a request fits the schema of its source, and all that does not, with its place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

from beltline.definition.request_schema import RequestSchema
from beltline.sources.refusal import Misfit, RequestRefused

_DETAIL = 300  # characters of a message, which may hold names that a sender chose
_POINTER = 300


def check_fit(schema: RequestSchema, value: Any, *, errors_most: int) -> None:
    """Raises `RequestRefused` (422) with up to `errors_most` of the mistakes."""
    validator = schema.validator
    if validator.is_valid(value):
        return
    found = list(islice(validator.iter_errors(value), errors_most + 1))
    errors = [_misfit(one) for one in found[:errors_most]]
    more = " and more" if len(found) > errors_most else ""
    first = errors[0].pointer if errors else "#"
    raise RequestRefused(
        422,
        "schema-mismatch",
        f"The request does not fit the schema of this source: {len(errors)} mistakes{more}."
        if len(errors) != 1 or more
        else f"The request does not fit the schema of this source: {errors[0].detail}.",
        first,
        errors,
    )


def _misfit(error: ValidationError) -> Misfit:
    message = error.message
    detail = message if len(message) <= _DETAIL else f"{message[:_DETAIL]}…"
    path: list[str | int] = list(error.instance_path)
    if isinstance(error.kind, ValidationErrorKind.Required):
        path.append(error.kind.property)  # the place where something is to be
    return Misfit(detail, pointer_of(path), error.kind.name)


def pointer_of(path: Iterable[str | int]) -> str:
    """The JSON pointer of a place, as a fragment (RFC 6901, section 6, without percent codes)."""
    parts = "".join(f"/{_escaped(str(part))}" for part in path)
    return f"#{parts}" if len(parts) <= _POINTER else f"#{parts[:_POINTER]}…"


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
