"""Forms and query strings the way PHP reads them: `fields[PHONE][0][VALUE]=...` is nested.

Everything is text; `name[]` appends, a name that occurs twice is overwritten by the last. Nested
names become dictionaries, and `php_list` reads one as the list that PHP would see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from bitrix24_portal.errors import RestError

MAX_PAIRS = 20_000  # well over fifty commands with hundreds of fields each
MAX_DEPTH = 32
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def read_form(text: str) -> dict[str, Any]:
    """The nested values of a form body or a query string.

    Raises:
        RestError: more than 20,000 pairs, or names nested deeper than 32.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PAIRS)
    except ValueError as error:
        raise RestError("INVALID_REQUEST", f"More than {MAX_PAIRS} parameters") from error
    return nest(pairs)


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Puts each value into the place that its bracketed name says."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        path = _path(name)
        if len(path) > MAX_DEPTH:
            raise RestError("INVALID_REQUEST", f"Parameters nest deeper than {MAX_DEPTH}")
        _put(root, path, value)
    return root


def php_list(value: object) -> list[Any]:
    """What PHP would walk over: the items of a list or the values of a dictionary."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None or value == "" else [value]


def php_true(value: object) -> bool:
    """Whether a flag is set, in any of the ways that callers write it."""
    return value is True or value == 1 or str(value).lower() in {"1", "y", "yes", "true"}


def _path(name: str) -> list[str]:
    start = name.find("[")
    if start <= 0:
        return [name]
    return [name[:start], *_BRACKETS.findall(name[start:])]


def _put(root: dict[str, Any], path: list[str], value: str) -> None:
    place = root
    for key in path[:-1]:
        inner = place.get(_slot(place, key))
        if not isinstance(inner, dict):
            inner = {}
            place[_slot(place, key)] = inner
        place = inner
    place[_slot(place, path[-1])] = value


def _slot(place: dict[str, Any], key: str) -> str:
    """An empty pair of brackets means the next free number."""
    if key:
        return key
    numbers = [int(name) for name in place if name.isdigit()]
    return str(max(numbers, default=-1) + 1)
