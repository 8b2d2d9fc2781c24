"""Lengths of time as people write them in definitions: `500ms`, `30s`, `1h30m`, `7d`.

A module's parameter of this kind has the type `Duration`, so that a constant is checked when the
process is published, and is read with `duration_s`.
The grammar is that of `timeout:` and `retry:`.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

_DURATION = r"^\s*(\d{1,12}(\.\d{1,6})?(ms|s|m|h|d|w))+\s*$"

_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(_DURATION)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


Duration = Annotated[str, msgspec.Meta(pattern=_DURATION)]


def duration_s(text: str) -> float:
    """The length in seconds. Raises `ValueError` where the text is no length of time."""
    if _WHOLE.match(text) is None:
        raise ValueError(f"{text[:40]!r} is no length of time: write 30s, 5m, 1h30m or 7d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
