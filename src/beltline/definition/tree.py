"""The positioned tree: what a definition's text says, and where it says it.

Every reader (YAML, JSON, PHP) gives the same thing: plain data (dict, list, str, int, float, bool,
None), and beside it one offset per key and value. Lines and columns are worked out from offsets
only for what is reported. Nothing recurses, so nesting is bounded by the limits alone.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import Any

import msgspec

from beltline.core.limits import LIMITS, Limits
from beltline.core.problem import Place

LINE_BREAK = re.compile(r"\r\n|\r|\n")

# What a reader stores under a key that it reported and cannot keep.
_DROPPED = object()


class Fault(msgspec.Struct, frozen=True):
    """What is wrong in the text itself, at `offset` in characters from its start."""

    offset: int
    message: str
    suggestion: str = ""


class Unreadable(Exception):
    """Reading had to end here: the text has no meaning from this place on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Document:
    """Data read from a text, with the place of every key and value.

    `data` is plain data. `faults` are mistakes of the text after which reading could go on: the
    data is then good for finding further mistakes, not for use.
    """

    __slots__ = ("_line_starts", "_marks", "_root", "_text", "_wide", "data", "faults")

    def __init__(
        self,
        text: str,
        data: Any,
        root: int,
        marks: dict[int, array[int]],
        faults: list[Fault] | None = None,
    ) -> None:
        self._text = text
        self._root = root
        # By the container's identity; `data` keeps the containers alive.
        self._marks = marks
        self._line_starts: list[int] | None = None
        self._wide: dict[int, dict[str, int]] = {}
        self.data = data
        self.faults = faults or []

    def position(self, place: Place) -> tuple[int, int]:
        """Line and column, from 1, of the value at `place`, or of its nearest parent that is."""
        return self.line_column(self.offset(place))

    def key_position(self, place: Place) -> tuple[int, int]:
        """Line and column of the key that leads to `place`; of the value where it has no key."""
        return self.line_column(self.offset(place, of_key=True))

    def offset(self, place: Place, *, of_key: bool = False) -> int:
        """The offset in characters of the value at `place`, or of its key."""
        node, offset, key_offset = self.data, self._root, self._root
        for part in place:
            marks = self._marks.get(id(node))
            if isinstance(node, dict) and marks is not None and part in node:
                index = self._key_index(node, str(part))
                key_offset, offset = marks[2 * index], marks[2 * index + 1]
                node = node[part]
            elif (
                isinstance(node, list)
                and marks is not None
                and isinstance(part, int)
                and 0 <= part < len(node)
            ):
                key_offset = offset = marks[part]
                node = node[part]
            else:
                break
        return key_offset if of_key else offset

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1 and in characters, of an offset."""
        if self._line_starts is None:
            self._line_starts = line_starts(self._text)
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def graft(self, container: Any, offsets: list[int]) -> None:
        """Gives a container that the text does not hold its offsets: one per item of a list, a
        key's and a value's per key of a dict, in order.
        """
        self._marks[id(container)] = array("I", offsets)

    def set_key(self, container: dict[str, Any], key: str, value: Any, offset: int) -> None:
        """Sets a key of a container; a new one comes last. Both have the same offset then."""
        marks = self._marks[id(container)]
        if key in container:
            marks[2 * self._key_index(container, key) + 1] = offset
        else:
            marks.extend((offset, offset))
            self._wide.pop(id(container), None)
        container[key] = value

    def remove_key(self, container: dict[str, Any], key: str) -> None:
        """Removes a key of a container."""
        index = self._key_index(container, key)
        del self._marks[id(container)][2 * index : 2 * index + 2]
        self._wide.pop(id(container), None)
        del container[key]

    def offset_in(self, container: Any, key: str, *, of_key: bool = False) -> int:
        """The offset of one key of an object, or of its value; 0 where it is not of this tree."""
        marks = self._marks.get(id(container))
        if marks is None or key not in container:
            return 0
        return marks[2 * self._key_index(container, key) + (0 if of_key else 1)]

    def offsets_in(self, container: Any) -> list[int]:
        """The offsets of a list's items, or of an object's values."""
        marks = self._marks[id(container)]
        return list(marks[1::2] if isinstance(container, dict) else marks)

    def _key_index(self, node: dict[str, Any], key: str) -> int:
        if len(node) <= 32:
            return next(index for index, name in enumerate(node) if name == key)
        indices = self._wide.get(id(node))
        if indices is None:
            indices = {name: index for index, name in enumerate(node)}
            self._wide[id(node)] = indices
        return indices[key]


def line_starts(text: str) -> list[int]:
    """The offset at which each line starts."""
    return [0, *(found.end() for found in LINE_BREAK.finditer(text))]


class TreeBuilder:
    """Takes what a reader meets, in order, and builds the data with its offsets.

    Raises `Unreadable` where a limit is passed.
    """

    __slots__ = (
        "_current",
        "_current_marks",
        "_depth",
        "_key",
        "_key_offset",
        "_limits",
        "_marks",
        "_nodes",
        "_root",
        "_root_offset",
        "_stack",
        "faults",
    )

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._marks: dict[int, array[int]] = {}
        # The containers that are open, each with the key that waited in it for its value.
        self._stack: list[Any] = []
        self._current: Any = None
        self._current_marks: array[int] = array("I")
        self._key: Any = None
        self._key_offset = 0
        self._root: Any = None
        self._root_offset = 0
        self._nodes = 0
        self._depth = 0
        self.faults: list[Fault] = []

    @property
    def depth(self) -> int:
        """How many containers are open."""
        return self._depth

    @property
    def in_object(self) -> bool:
        """Whether the open container is an object."""
        return type(self._current) is dict

    def value(self, value: Any, offset: int) -> None:
        """A scalar, in the open container or as the whole."""
        self._nodes += 1
        if self._nodes > self._limits.definition_nodes:
            raise Unreadable(
                Fault(
                    offset,
                    "more values than a definition may have "
                    f"(definition_nodes: {self._limits.definition_nodes:,})",
                )
            )
        current = self._current
        if current is None:
            self._root, self._root_offset = value, offset
        elif type(current) is list:
            current.append(value)
            self._current_marks.append(offset)
        elif self._key is not _DROPPED:
            current[self._key] = value
            self._current_marks.append(self._key_offset)
            self._current_marks.append(offset)

    def open(self, container: dict[str, Any] | list[Any], offset: int) -> None:
        """The start of an object or a list: pass an empty one."""
        self.value(container, offset)
        self._depth += 1
        if self._depth > self._limits.definition_depth:
            raise Unreadable(
                Fault(
                    offset,
                    "nested deeper than a definition may be "
                    f"(definition_depth: {self._limits.definition_depth:,})",
                )
            )
        self._stack.append(self._current)
        self._stack.append(self._current_marks)
        self._current = container
        self._current_marks = array("I")
        self._marks[id(container)] = self._current_marks

    def close(self) -> None:
        """The end of the container opened last."""
        self._depth -= 1
        self._current_marks = self._stack.pop()
        self._current = self._stack.pop()

    def key(self, key: str, offset: int) -> None:
        """The key of the value that comes next, in an open object."""
        if key in self._current:
            self.fault(offset, f'the key "{key}" stands here a second time', "Keep one of the two.")
            self._key = _DROPPED
        else:
            self._key = key
            self._key_offset = offset

    def drop_key(self) -> None:
        """The value that comes next belongs to a key that was reported and cannot be kept."""
        self._key = _DROPPED

    def fault(self, offset: int, message: str, suggestion: str = "") -> None:
        """A mistake after which reading goes on."""
        self.faults.append(Fault(offset, message, suggestion))

    def document(self, text: str) -> Document:
        """The finished tree."""
        return Document(text, self._root, self._root_offset, self._marks, self.faults)


def integer_fits(digits: str) -> bool:
    """Whether a decimal integer can be kept and sent exactly: it needs at most 64 bits."""
    return len(digits) <= 21 and -(2**63) <= int(digits) < 2**64


def check_size(text: str, limits: Limits = LIMITS) -> None:
    """Raises `Unreadable` where the text is longer than a definition may be."""
    if len(text) > limits.definition_bytes or (
        not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > limits.definition_bytes
    ):
        raise Unreadable(
            Fault(
                0,
                f"longer than a definition may be (definition_bytes: {limits.definition_bytes:,})",
            )
        )
