"""A body and its content type -> the request: which reader reads what, and what is not read."""

from __future__ import annotations

from typing import Any

from beltline.sources.form_body import read_form
from beltline.sources.json_body import read_json
from beltline.sources.refusal import RequestRefused

_FORM = "application/x-www-form-urlencoded"


def read_body(content_type: str, body: bytes, *, depth: int) -> tuple[Any, bytes]:
    """The request's value and its compact JSON bytes.

    JSON (`application/json`, `…+json`) and forms are read. Raises `RequestRefused`: 415 for other
    content types, 400 for what cannot be read.
    """
    if content_type == "application/json":  # nearly always, and nothing more to find out
        return read_json(body, depth=depth)
    kind, charset = _content_type(content_type)
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise RequestRefused(
            415, "unsupported-content", f"The charset {charset!r} is not read. Send UTF-8."
        )
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return read_json(body, depth=depth)
    if kind == _FORM:
        return read_form(body, depth=depth)
    sent = f"The content type {kind[:100]!r}" if kind else "A body without a content type"
    raise RequestRefused(
        415,
        "unsupported-content",
        f"{sent} is not read here. Send application/json or {_FORM}.",
    )


def _content_type(header: str) -> tuple[str, str]:
    """The type and its charset, in small letters, both empty where absent."""
    kind, *parameters = header.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset
