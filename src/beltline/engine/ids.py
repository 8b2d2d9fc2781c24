"""Ids of requests and runs: UUIDv7 (RFC 9562), rising within one process."""

from __future__ import annotations

from collections.abc import Callable


class RunIds:
    """Makes keys of 16 bytes: 48 bits of Unix milliseconds, a counter of 12 bits, 62 random bits.

    `entropy(n)` gives n random bytes. Within a millisecond the counter keeps the order; when it
    runs over, the time part goes ahead by one.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._last = 0
        self._counter = 0
        self._pool = b""

    def begin_after(self, key: bytes) -> None:
        """Keys from here on are greater than this one, too."""
        at = time_of(key)
        if at >= self._last:
            self._last, self._counter = at, 0xFFF

    def new_key(self, now: int) -> bytes:
        """A key greater than every one before; `now` in Unix milliseconds."""
        if now > self._last:
            self._last = now
            self._counter = 0
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last += 1
                self._counter = 0
        if len(self._pool) < 8:
            self._pool = self._entropy(1_024)
        random = int.from_bytes(self._pool[:8]) & 0x3FFF_FFFF_FFFF_FFFF
        self._pool = self._pool[8:]
        value = (self._last << 80) | (0x7000 | self._counter) << 64 | (0b10 << 62) | random
        return value.to_bytes(16)


def id_of(key: bytes) -> str:
    """The id that people see: a UUID in its usual form."""
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def key_of(id: str) -> bytes | None:
    """The key of an id; None for text that is no id."""
    if len(id) != 36 or id.count("-") != 4:
        return None
    try:
        return bytes.fromhex(id.replace("-", ""))
    except ValueError:
        return None


def time_of(key: bytes) -> int:
    """When the request came in, or the run began, that has this key (Unix ms)."""
    return int.from_bytes(key[:6])


def key_at(time: int) -> bytes:
    """The least key of a time (Unix ms)."""
    return max(0, min(time, (1 << 48) - 1)).to_bytes(6) + bytes(10)
