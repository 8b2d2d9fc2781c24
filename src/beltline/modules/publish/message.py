"""What the messages of all brokers have in common: a body, and headers beside it."""

from __future__ import annotations

import json as to_json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from beltline.sdk import Config, field

_HEADERS_MOST = 100


class MessageConfig(Config):
    """The body of a message, one of `json` and `text`, and its headers. Those in `own_headers`, in
    small letters, are set by the module.
    """

    own_headers: ClassVar[tuple[str, ...]] = ()

    json: Annotated[
        Any,
        field(
            "JSON", "The body as JSON. One of JSON and text is given.", examples=["{{ request }}"]
        ),
    ] = None
    text: Annotated[str | None, field("Text", "The body as text, in UTF-8.")] = None
    headers: Annotated[
        Mapping[str, str],
        field(
            "Headers",
            "Headers beside the body. Secrets belong into a connection, not here.",
            examples=[{"kind": "order"}],
        ),
    ] = {}

    def __post_init__(self) -> None:
        if (self.json is None) == (self.text is None):
            raise ValueError("give one of `json` and `text`")
        _check_headers(self.headers, self.own_headers)

    @property
    def content(self) -> tuple[bytes, str]:
        """The bytes of the body, and their type."""
        if self.text is not None:
            return self.text.encode(), "text/plain; charset=utf-8"
        return (
            to_json.dumps(
                self.json, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            ).encode(),
            "application/json",
        )


def _check_headers(headers: Mapping[str, str], own: tuple[str, ...]) -> None:
    """Refuses headers that no broker could carry. Raises `ValueError`."""
    if len(headers) > _HEADERS_MOST:
        raise ValueError(f"`headers` holds more than {_HEADERS_MOST}")
    for name, value in headers.items():
        if not name.isascii() or not name.isprintable() or not name.strip() or ":" in name:
            raise ValueError(f"`headers` holds the name {name[:40]!r}, which no header can have")
        if any(sign in value for sign in "\r\n\0"):
            raise ValueError(f"the header {name[:40]!r} holds a line break")
        if name.lower() in own:
            raise ValueError(f"the header {name!r} is set by the module")
