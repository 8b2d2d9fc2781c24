"""Field paths: the direct way to one value of a document.

A path is read segment by segment, without a search and without a copy: it never maps over lists,
keeps integers exact, and costs a few dictionary look-ups. It is the form of every `field`, and of
every `{{ }}` that holds nothing longer than a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, final

from beltline.core.limits import LIMITS


@final
class Missing:
    """The type of `MISSING`: no value at all, which is not the same as null."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

Reader = Callable[[Mapping[str, Any]], Any]


class PathError(ValueError):
    """A text that is not a field path; `offset` is the character where it stops being one."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Path:
    """A compiled field path.

    `text` is what the author wrote, `segments` its parts (an int is a list index, or the object
    key of the same digits), `root` the first of them: the key of the document it starts from.
    `read(document)` gives the value itself, never a copy, or `MISSING`.
    """

    __slots__ = ("read", "root", "segments", "text")

    def __init__(self, text: str, segments: tuple[str | int, ...]) -> None:
        self.text = text
        self.segments = segments
        self.root = str(segments[0])
        self.read: Reader = _reader(self.root, segments[1:])

    def __repr__(self) -> str:
        return f"Path({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and self.segments == other.segments

    def __hash__(self) -> int:
        return hash(self.segments)


_SEGMENT = re.compile(
    r"`(?P<quoted>[^`]+)`|(?P<index>(?:0|[1-9][0-9]*)(?![\w-]))|(?P<name>\w[\w-]*)"
)


@lru_cache(maxsize=4_096)  # conditions and values name the same few paths again and again
def compile_path(text: str) -> Path:
    """Compile a field path such as ``get-deal.items.0.`unit price` ``.

    Raises `PathError` where the text is not one: it is empty, too long, starts with a list index,
    or holds a character that needs backticks.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LIMITS.expression_bytes:
        raise PathError(
            f"a path takes at most {LIMITS.expression_bytes} bytes (limit expression_bytes)", 0
        )
    segments: list[str | int] = []
    offset = 0
    while True:
        found = _SEGMENT.match(text, offset)
        if found is None:
            raise _wrong_segment(text, offset)
        index = found["index"]
        if index is not None and not segments:
            raise PathError("a path starts with a name, such as request or a step's id", offset)
        segments.append(found["quoted"] or found["name"] if index is None else _integer(index))
        offset = found.end()
        if offset == len(text):
            return Path(text, tuple(segments))
        if text[offset] != ".":
            raise _wrong_character(text, offset)
        offset += 1


def _integer(digits: str) -> str | int:
    """An index; digits that no list can be long enough for stay an object key."""
    return int(digits) if len(digits) <= 18 else digits


def _wrong_segment(text: str, offset: int) -> PathError:
    if not text:
        return PathError("the path is empty", 0)
    if offset == len(text):
        return PathError("the path ends with a dot", offset - 1)
    if text[offset] == ".":
        return PathError("a path has a name between two dots", offset)
    if text[offset] == "`":
        closed = text.find("`", offset + 1) > 0
        return PathError(
            "nothing stands between the backticks" if closed else "the backtick is not closed",
            offset,
        )
    return _wrong_character(text, offset)


def _wrong_character(text: str, offset: int) -> PathError:
    character = text[offset]
    if character == "[":
        return PathError("a path takes a list index after a dot, such as items.0", offset)
    return PathError(
        f"{character!r} cannot stand in a path; put a name with such characters between backticks",
        offset,
    )


def _reader(root: str, rest: tuple[str | int, ...]) -> Reader:
    """Choose the quickest way to read: nearly every path has one to three names."""
    if not rest:
        return lambda document: document.get(root, MISSING)
    if all(isinstance(segment, str) for segment in rest):
        names = tuple(str(segment) for segment in rest)
        if len(names) == 1:
            return _read_two(root, names[0])
        if len(names) == 2:
            return _read_three(root, names[0], names[1])
    return _read_any(root, rest)


def _read_two(root: str, key: str) -> Reader:
    def read(document: Mapping[str, Any]) -> Any:
        value = document.get(root)
        return value.get(key, MISSING) if isinstance(value, dict) else MISSING

    return read


def _read_three(root: str, first: str, second: str) -> Reader:
    def read(document: Mapping[str, Any]) -> Any:
        value = document.get(root)
        if isinstance(value, dict):
            value = value.get(first)
            if isinstance(value, dict):
                return value.get(second, MISSING)
        return MISSING

    return read


def _read_any(root: str, rest: tuple[str | int, ...]) -> Reader:
    steps = tuple((str(segment), segment if isinstance(segment, int) else -1) for segment in rest)

    def read(document: Mapping[str, Any]) -> Any:
        value = document.get(root)
        for key, index in steps:
            if isinstance(value, dict):
                value = value.get(key, MISSING)
            elif isinstance(value, list) and 0 <= index < len(value):
                value = value[index]
            else:
                return MISSING
        return value

    return read
