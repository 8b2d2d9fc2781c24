"""Form bodies with the bracket names of PHP: `contact[phones][]=+1&contact[phones][]=+2`.

Values are texts, always. A name is a key and any number of brackets: `[]` appends to a list,
`[key]` names a member. Members named 0, 1, 2, … in order make a list, as PHP's own arrays do when
they are written as JSON. What PHP would settle by overwriting (a name twice, a text that is also
an object, `[]` beside `[key]`) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from beltline.core.limits import LIMITS
from beltline.sources.refusal import RequestRefused

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SHOWN = 60

Leaf = str | dict[str, Any]  # a text; of multipart also what stands for a file


class _Node:
    """Members under one name: by keys, or appended."""

    __slots__ = ("appended", "members")

    def __init__(self) -> None:
        self.members: dict[str, _Node | Leaf] = {}
        self.appended: list[_Node | Leaf] = []


def read_form(body: bytes, *, depth: int, limit: str = "request_depth") -> tuple[Any, bytes]:
    """The fields as one JSON object, and its compact bytes. Raises `RequestRefused` (400)."""
    if body.count(b"&") >= LIMITS.form_fields:
        raise _refused(f"The form has more than {LIMITS.form_fields:,} fields (limit form_fields).")
    fields = []
    for field in body.split(b"&"):
        if field:
            raw_name, _, raw_value = field.partition(b"=")
            fields.append((_decoded(raw_name), _decoded(raw_value)))
    value = tree_of(fields, depth=depth, limit=limit)
    return value, orjson.dumps(value)


def tree_of(
    fields: Iterable[tuple[str, Leaf]], *, depth: int, limit: str = "request_depth"
) -> dict[str, Any]:
    """Fields with bracket names as one object. Raises `RequestRefused` (400)."""
    root = _Node()
    parts = 0
    for name, leaf in fields:
        path = _path(name, depth, limit)
        parts += len(path)
        if parts > LIMITS.form_name_parts:
            raise _refused(
                "The names of the fields have more than"
                f" {LIMITS.form_name_parts:,} parts together (limit form_name_parts)."
            )
        _put(root, name, path, leaf)
    if not root.members:
        raise _refused("The form has no field. Send at least one.")
    return {key: _value(member) for key, member in root.members.items()}


def _decoded(raw: bytes) -> str:
    bad = _BAD_ESCAPE.search(raw)
    if bad is not None:
        text = raw[bad.start() : bad.start() + 3].decode("ascii", "replace")
        raise _refused(f"{text!r} is not a percent code. Write a percent sign as %25.")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as wrong:
        raise _refused("A field is not UTF-8. Send the form as UTF-8.") from wrong


def _path(name: str, depth: int, limit: str) -> list[str]:
    """The keys of a field's name; an empty one appends."""
    bracket = name.find("[")
    key = name if bracket < 0 else name[:bracket]
    rest = "" if bracket < 0 else name[bracket:]
    if not key:
        raise _refused("A field has no name before its value.", name)
    if "]" in key or _BRACKETS.sub("", rest):
        raise _refused("The brackets of a field's name do not pair up.", name)
    path = [key, *_BRACKETS.findall(rest)]
    if len(path) > depth:
        raise _refused(
            f"The brackets of a field's name go more than {depth} deep, which is more than"
            f" {limit} allows.",
            name,
        )
    return path


def _put(root: _Node, name: str, path: list[str], leaf: Leaf) -> None:
    node = root
    for key in path[:-1]:
        below = _member(node, key, name)
        if below is None:
            below = _Node()
            _set(node, key, below)
        elif not isinstance(below, _Node):
            raise _refused("A field is both a text and a group of fields.", name)
        node = below
    key = path[-1]
    present = _member(node, key, name)
    if isinstance(present, _Node):
        raise _refused("A field is both a text and a group of fields.", name)
    if present is not None:
        raise _refused("A field stands twice. Send it once, or name it with [] for a list.", name)
    _set(node, key, leaf)


def _member(node: _Node, key: str, name: str) -> _Node | Leaf | None:
    """What stands under a key already; an empty key always appends, so nothing does."""
    if node.members if key == "" else node.appended:
        raise _refused("A field is numbered by [] in one place and named in another.", name)
    return None if key == "" else node.members.get(key)


def _set(node: _Node, key: str, member: _Node | Leaf) -> None:
    if key == "":
        node.appended.append(member)
    else:
        node.members[key] = member


def _value(member: _Node | Leaf) -> Any:
    """Recursion is bounded by the depth of names, which is checked."""
    if not isinstance(member, _Node):
        return member
    if member.appended:
        return [_value(one) for one in member.appended]
    if all(key == str(index) for index, key in enumerate(member.members)):
        return [_value(one) for one in member.members.values()]
    return {key: _value(one) for key, one in member.members.items()}


def _refused(detail: str, name: str = "") -> RequestRefused:
    where = "" if not name else f"field {name[:_SHOWN]}"
    return RequestRefused(400, "unreadable-body", detail, where)
