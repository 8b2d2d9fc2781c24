"""Data -> YAML text for people: block style above, flow style where that is shorter or deep.

Every text that YAML could take for something else stands in double quotes, escaped as JSON is.
Written for converted files, whose conditions may be a thousand levels deep: below a few levels it
changes to flow style, which is written in a loop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_\u0400-\u04ff][\w./-]*(?: [\w./-]+)*\Z")
_NOT_PLAIN = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_FLOW_WIDTH = 80
_BLOCK_INDENT = 16  # further in, flow style
_KEY_LENGTH = 800  # libyaml takes a key of at most 1,024 characters without a sign before it

Comments = Mapping[tuple[int, str], str]
"""Comments by the identity of the object and the key that they stand behind."""


def scalar(value: Any) -> str:
    """A scalar, as it can stand in block and in flow style."""
    if isinstance(value, str):
        if len(value) <= _FLOW_WIDTH and _PLAIN.match(value) and value.lower() not in _NOT_PLAIN:
            return value
        return _quoted(value)
    if isinstance(value, float):
        # YAML needs no dot here, people do.
        return repr(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    return _ESCAPED.sub(
        lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False)
    )


def flow(value: Any) -> str:
    """A value on one line."""
    parts: list[str] = []
    # What is still to be written, last first: (True, a text as it is) or (False, a value).
    waiting: list[tuple[bool, Any]] = [(False, value)]
    while waiting:
        is_text, node = waiting.pop()
        if is_text:
            parts.append(node)
        elif isinstance(node, dict):
            parts.append("{")
            waiting.append((True, "}"))
            for index, (key, child) in enumerate(reversed(node.items())):
                waiting.extend([(True, ", ")] if index else [])
                waiting.append((False, child))
                written = f"? {_quoted(key)} : " if _is_long(key) else f"{scalar(key)}: "
                waiting.append((True, written))
        elif isinstance(node, list):
            parts.append("[")
            waiting.append((True, "]"))
            for index, child in enumerate(reversed(node)):
                waiting.extend([(True, ", ")] if index else [])
                waiting.append((False, child))
        else:
            parts.append(scalar(node))
    return "".join(parts)


def _is_long(key: str) -> bool:
    return len(key) > _KEY_LENGTH // 6 and len(_quoted(key)) > _KEY_LENGTH


def block(data: dict[str, Any], comments: Comments | None = None, indent: int = 0) -> Iterator[str]:
    """The lines of an object in block style, without line breaks."""
    comments = comments or {}
    margin = " " * indent
    for key, value in data.items():
        comment = comments.get((id(data), key), "")
        behind = f"  # {comment}" if comment else ""
        if _is_long(key):
            yield f"{margin}? {_quoted(key)}"
            yield f"{margin}: {flow(value)}{behind}"
        elif _stays_on_line(value, indent):
            yield f"{margin}{scalar(key)}: {flow(value)}{behind}"
        else:
            yield f"{margin}{scalar(key)}:{behind}"
            if isinstance(value, dict):
                yield from block(value, comments, indent + 2)
            else:
                for child in value:
                    yield from item(child, comments, indent + 2)


def item(value: Any, comments: Comments | None = None, indent: int = 0) -> Iterator[str]:
    """The lines of one item of a list."""
    margin = " " * indent
    if isinstance(value, dict) and value and (comments or not _is_short(value)):
        lines = block(value, comments, indent + 2)
        yield f"{margin}- {next(lines)[indent + 2 :]}"
        yield from lines
    else:
        yield f"{margin}- {flow(value)}"


def _stays_on_line(value: Any, indent: int) -> bool:
    if not isinstance(value, (dict, list)) or not value:
        return True
    return indent >= _BLOCK_INDENT or _is_short(value)


def _is_short(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a container holds scalars alone, in few letters."""
    children = value.values() if isinstance(value, dict) else value
    width = 0
    for child in children:
        if isinstance(child, (dict, list)):
            return False
        width += len(child) + 4 if isinstance(child, str) else 8
    if isinstance(value, dict):
        width += sum(len(key) + 2 for key in value)
    return width <= _FLOW_WIDTH or isinstance(value, list)
