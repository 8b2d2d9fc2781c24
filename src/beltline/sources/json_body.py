"""JSON as a sender wrote it, read strictly: what readers disagree on is refused, never guessed.

orjson reads it, and refuses NaN, Infinity, numbers beyond a double, lone surrogates and broken
UTF-8 by itself. It would keep the last of two equal keys and round large integers. Where writing
the value again gives the very bytes that came, neither can have happened, and that is the usual
case. Everything else is looked at without its texts: where a key was lost, fewer colons are written
than came, and digits stand as they are. Both are done in a few walks that run in C, since a body of
a million brackets must not hold up all others; only what is refused is read again for the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import Any

import orjson

from beltline.sources.refusal import RequestRefused

_INTEGER_LEAST = -(2**63)
_INTEGER_MOST = 2**64 - 1
_SHOWN = 60  # characters of a sender's own text in a message
_PLACED_BYTES = 65_536  # telling the place costs a walk over all values, more than the reading
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}+(?![.eE])")
# A quote and a colon end a key, unless the quote is escaped or begins a text, as after these.
_NO_KEY_ENDS = (b'\\":', b':":', b',":', b'[":', b'{":')
_DEPTHS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: 1 and -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19  # found far sooner than the pattern, which looks at each place


def read_json(body: bytes, *, depth: int, limit: str = "request_depth") -> tuple[Any, bytes]:
    """The value, and its bytes in compact form (keys in the sender's order).

    `depth` is how many lists and objects may stand inside each other; `limit` names that bound.
    Raises `RequestRefused` (400).
    """
    bare = None
    if body.count(b"[") + body.count(b"{") > depth:
        bare = _TEXT.sub(b"", body)
        # Told before the reading, which costs most; a quote is left where a text has no end.
        if _levels(bare) > depth and b'"' not in bare:
            raise _too_deep(depth, limit)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(body, error, depth, limit) from error
    compact = orjson.dumps(value)
    if compact != body:
        lost = _lost(_TEXT.sub(b"", body) if bare is None else bare, compact)
        if lost:
            raise _refused(lost) if len(body) > _PLACED_BYTES else _placed_refusal(body)
    return value, compact


def canonical(value: Any) -> bytes:
    """The bytes that are equal for equal JSON values: compact, keys in order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


# Depth


def _levels(bare: bytes) -> int:
    """How deep lists and objects nest in JSON that has no texts any more."""
    brackets = bare.translate(_DEPTHS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def levels_of(value: Any, most: int) -> int:
    """How deep lists and objects nest, level by level; looks no further than `most` + 1."""
    levels = 0
    level = [value] if type(value) in (dict, list) else []
    while level and levels <= most:
        levels += 1
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
    return levels


def _too_deep(depth: int, limit: str) -> RequestRefused:
    return _refused(
        f"Lists and objects stand more than {depth} deep inside each other, which is more than"
        f" {limit} allows. Send a flatter value."
    )


# What orjson keeps to itself


class _Repeating(dict[str, Any]):
    """An object in which a key stands twice."""

    repeated: str


class _Beyond(str):
    """The digits of an integer that does not fit into 64 bits."""

    __slots__ = ()


def _lost(bare: bytes, compact: bytes) -> str:
    """What orjson kept to itself of a body, which stands here without its texts; empty where it is
    nothing.
    """
    long = _LONG_INTEGER.finditer(bare) if _LONG in bare.translate(_DIGITS) else ()
    for found in long:
        if len(found[0]) > 20 or not _INTEGER_LEAST <= int(found[0]) <= _INTEGER_MOST:
            return "An integer does not fit into 64 bits. Send it as a text."
    if bare.count(b":") != _keys(compact):
        return "A key stands twice in one object. Send each key once."
    return ""


def _keys(compact: bytes) -> int:
    """How many keys stand in JSON without white space."""
    if any(compact.find(doubt) >= 0 for doubt in _NO_KEY_ENDS) or compact.startswith(b'":'):
        return _TEXT.sub(b"", compact).count(b":")
    return compact.count(b'":')


def _placed_refusal(body: bytes) -> RequestRefused:
    """The same with its place, which takes reading the body again."""
    wrong: list[_Repeating | _Beyond] = []

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        repeating = _Repeating(made)
        repeating.repeated = _first_repeated(pairs)
        wrong.append(repeating)
        return repeating

    def make_integer(digits: str) -> Any:
        if len(digits) < 19:
            return int(digits)
        if len(digits) <= 20 and _INTEGER_LEAST <= int(digits) <= _INTEGER_MOST:
            return int(digits)
        wrong.append(_Beyond(digits))
        return wrong[-1]

    value = json.loads(body, object_pairs_hook=make_object, parse_int=make_integer)
    assert wrong, "something was lost"
    found: Any
    place, found = _first_wrong(value)
    if isinstance(found, _Repeating):
        return _refused(
            f"The key {_shown(found.repeated)} stands twice in one object. Send each key once.",
            place,
        )
    return _refused(
        f"The integer {_shown(found)} does not fit into 64 bits. Send it as a text.", place
    )


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key stands twice")


def _first_wrong(value: Any) -> tuple[str, _Repeating | _Beyond]:
    """The outermost suspect and its place. It is always reachable: what a repeated key replaced
    stood in an object that is a suspect itself.
    """
    for place, found in _walk(value):
        if isinstance(found, _Repeating | _Beyond):
            return ".".join(("request", *map(_segment, place))), found
    raise AssertionError("nothing is wrong with the value")


def _walk(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value with its place, level by level, the outermost first."""
    level: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while level:
        yield from level
        level = list(chain.from_iterable(_children(place, one) for place, one in level))


def _children(
    place: tuple[str | int, ...], value: Any
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*place, key), child
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield (*place, index), child


# Messages


def _unreadable(
    body: bytes, error: orjson.JSONDecodeError, depth: int, limit: str
) -> RequestRefused:
    if not body.strip(b" \t\r\n"):
        return _refused("The body is empty. Send a JSON value.")
    if error.msg.startswith("depth limit"):
        return _too_deep(depth, limit)
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:2]:
        return _refused("The body is not UTF-8, it looks like UTF-16 or UTF-32. Send UTF-8.")
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return _refused(
            f"The body is not UTF-8: the byte 0x{body[wrong.start]:02x} cannot stand there."
            " Send UTF-8.",
            f"byte {wrong.start}",
        )
    reason = error.msg.partition(": line ")[0]
    return _refused(f"The body is not JSON: {reason}.", f"line {error.lineno} column {error.colno}")


def _segment(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    plain = part.replace("_", "").replace("-", "").isalnum()
    return part if plain and len(part) <= _SHOWN else f"`{part[:_SHOWN]}`"


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "…", ensure_ascii=False)


def _refused(detail: str, where: str = "") -> RequestRefused:
    return RequestRefused(400, "unreadable-body", detail, where)
