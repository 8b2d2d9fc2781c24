"""Parameters and files of one call as a form (`multipart/form-data`), in which files are taken."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from beltline.sdk.telegram import Body


class Upload(msgspec.Struct, frozen=True):
    """A file of a form, under the name of its field."""

    field: str
    name: str
    type: str
    content: bytes


def form_body(params: Mapping[str, Any], files: list[Upload]) -> Body:
    """The form. What is no text goes as JSON. The boundary cannot be foreseen, so that no content
    can hold it by intent.
    """
    boundary = secrets.token_hex(16)
    parts = [
        _part(boundary, f'name="{name}"', "", _text(value).encode())
        for name, value in params.items()
    ]
    parts += [
        _part(
            boundary,
            f'name="{file.field}"; filename="{_quoted(file.name)}"',
            f"Content-Type: {file.type if _is_type(file.type) else 'application/octet-stream'}\r\n",
            file.content,
        )
        for file in files
    ]
    content = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Body(content, f"multipart/form-data; boundary={boundary}")


def _part(boundary: str, about: str, type_line: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n{type_line}\r\n"
    return head.encode() + content + b"\r\n"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _quoted(name: str) -> str:
    """A file's name as browsers write it: what would end the quotes or the line is replaced."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _is_type(text: str) -> bool:
    """Whether a media type, which a stranger may have given, can stand in a line of its own."""
    return text.isascii() and text.isprintable() and "/" in text
