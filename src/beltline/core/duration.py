"""Lengths of time and moments as people write them: `90s`, `1h30m`, `2026-11-23T09:00:00+03:00`."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d|w)")


class DurationError(ValueError):
    """The text is not a length of time, or not a moment; the message says what is."""


def parse_duration_ms(text: str) -> int:
    """`500ms`, `30s`, `5m`, `1h`, `2d`, `1w`, or several in a row (`1h30m`), in milliseconds."""
    total = 0.0
    at = 0
    stripped = text.strip()
    while at < len(stripped):
        part = _PART.match(stripped, at)
        if part is None:
            break
        total += float(part[1]) * _UNITS_MS[part[2]]
        at = part.end()
    if at == 0 or at < len(stripped):
        raise DurationError(
            f"{text!r} is not a length of time; write it like 500ms, 30s, 5m, 1h30m, 2d"
        )
    return round(total)


def duration_text(ms: int) -> str:
    """A length of time as `parse_duration_ms` reads it: `1h30m`."""
    parts = []
    for unit, size in sorted(_UNITS_MS.items(), key=lambda one: -one[1]):
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0ms"


def parse_moment_ms(text: str) -> int:
    """An ISO 8601 moment with its offset (`2026-11-23T09:00:00+03:00`), in Unix milliseconds."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DurationError(
            f"{text!r} is not a moment; write it like 2026-11-23T09:00:00+03:00"
        ) from None
    if moment.tzinfo is None:
        raise DurationError(f"{text!r} has no offset from UTC; add one, such as +03:00 or Z")
    return round(moment.timestamp() * 1_000)
