"""Compressed bodies, unpacked no further than a body may be large."""

from __future__ import annotations

import zlib

from beltline.sources.refusal import RequestRefused

_WINDOW_BITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # zlib's numbers for these containers


def uncompressed(body: bytes, encoding: bytes, *, most: int, limit: str) -> bytes:
    """The body as it was before `Content-Encoding`. Raises `RequestRefused`: 415 for an encoding
    that is not read, 400 for a body that is not what it says, 413 past `most` bytes.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    bits = _WINDOW_BITS.get(name)
    if bits is None:
        raise RequestRefused(
            415,
            "unsupported-content",
            f"The content encoding {name[:60].decode('latin-1')!r} is not read here. Send gzip,"
            " deflate, or the body as it is.",
        )
    unpacking = zlib.decompressobj(bits)
    try:
        plain = unpacking.decompress(body, most + 1)
    except zlib.error as wrong:
        raise _unreadable(name, "cannot be unpacked") from wrong
    if len(plain) > most:
        raise RequestRefused(
            413,
            "too-large",
            f"The body takes more than {most:,} bytes when it is unpacked (limit {limit}). Send"
            " less.",
        )
    if not unpacking.eof:
        raise _unreadable(name, "ends too early")
    if unpacking.unused_data:
        raise _unreadable(name, "goes on after its end")
    return plain


def _unreadable(name: bytes, why: str) -> RequestRefused:
    return RequestRefused(
        400, "unreadable-body", f"The body is announced as {name.decode()}, and {why}."
    )
