"""Multipart bodies, put together for tests as browsers do it."""

from __future__ import annotations

BOUNDARY = "----7d1"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def field(name: str, text: str | bytes, *headers: str) -> bytes:
    """A field that is a text."""
    raw = text if isinstance(text, bytes) else text.encode()
    return part(f'Content-Disposition: form-data; name="{name}"', *headers, content=raw)


def file(name: str, file_name: str, content: bytes, type: str = "image/png") -> bytes:
    """A field that is a file."""
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"'
    return part(disposition, f"Content-Type: {type}", content=content)


def part(*headers: str, content: bytes = b"") -> bytes:
    """Any part."""
    head = "".join(f"{header}\r\n" for header in headers)
    return f"--{BOUNDARY}\r\n{head}\r\n".encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    """The body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
