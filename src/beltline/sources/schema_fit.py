"""Whether a request fits the schema of its source, and all that does not, with its place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind, Validator

from beltline.definition.request_schema import RequestSchema
from beltline.sources.refusal import Misfit, RequestRefused

# Up to this size of a body all mistakes are looked for. The validator gathers every one before it
# tells the first, some microseconds each and with a copy of what is wrong: of a body of a million
# wrong values, seconds. The first alone takes one copy, and up to this size is told.
_LOOKED_THROUGH_BYTES = 16_384
_LOOKED_AT_BYTES = 524_288
_DETAIL = 300  # characters of a message, which may hold names that a sender chose
_POINTER = 300


def check_fit(schema: RequestSchema, value: Any, *, size: int, errors_most: int) -> None:
    """Raises `RequestRefused` (422) with up to `errors_most` of the mistakes; of a value that takes
    many bytes (`size`), with the first, or with none.
    """
    validator = schema.validator
    if validator.is_valid(value):
        return
    errors, rest = [], "; so large a body is not looked through for the place"
    if size <= _LOOKED_THROUGH_BYTES:
        found = list(islice(validator.iter_errors(value), errors_most + 1))
        errors = [_misfit(one) for one in found[:errors_most]]
        rest = " and more" if len(found) > errors_most else ""
    elif size <= _LOOKED_AT_BYTES:
        errors = _first_mistake(validator, value)
        rest = ", and perhaps more"
    what = f": {errors[0].detail}" if errors else ""
    if len(errors) > 1:
        what = f": {len(errors)} mistakes"
    raise RequestRefused(
        422,
        "schema-mismatch",
        f"The request does not fit the schema of this source{what}{rest}.",
        errors[0].pointer if errors else "#",
        errors,
    )


def _first_mistake(validator: Validator, value: Any) -> list[Misfit]:
    try:
        validator.validate(value)
    except ValidationError as first:
        return [_misfit(first)]
    return []


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
