"""A value as JSON: what it takes, and the hash of its canonical form."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder().encode


def size_of(value: Any) -> int:
    """The bytes that a value takes as JSON."""
    return len(_encode(value))


def hash_of(value: Any) -> tuple[str, str]:
    """The hash of a value's canonical JSON (32 hexadecimal digits), and why it has none: an
    expression can make texts and depths that JSON cannot carry.
    """
    try:
        return blake2b(_canonical(value), digest_size=16).hexdigest(), ""
    except (TypeError, ValueError, RecursionError) as wrong:
        return "", f"this is not JSON: {wrong}"
