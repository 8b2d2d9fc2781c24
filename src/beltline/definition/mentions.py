"""Where in a step's data a root of the document is mentioned.

Compiled values know only which roots they read; the text is searched again where a finding needs
the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from beltline.core.path import PathError, compile_path
from beltline.core.problem import Place

# Operations that a field may be missing for: they are how a definition asks whether it is there.
_ASKS_WHETHER_THERE = ("empty", "exists")


def mention_in_values(value: Any, place: Place, root: str) -> Place:
    """The first text with an expression that names `root`; `place` itself where none is found."""
    for text, at, _ in _texts(value, place):
        if root in text and "{{" in text:
            return at
    return place


def mention_in_tests(condition: Any, place: Place, root: str) -> Place | None:
    """The first test that needs `root`; None where tests only ask whether it is there."""
    for text, at, test in _texts(condition, place):
        if root not in text:
            continue
        if at[-1] == "field":
            operation = test.get("operation") if isinstance(test, dict) else None
            asks = isinstance(operation, str) and operation.endswith(_ASKS_WHETHER_THERE)
            if not asks and root_of(text) == root:
                return at
        elif "{{" in text or at[-1] == "if":
            return at
    return None


def field_with_root(condition: Any, place: Place, root: str) -> Place:
    """The first field of a condition that starts from `root`, or any other mention of it."""
    for text, at, _ in _texts(condition, place):
        if root in text and at[-1] == "field" and root_of(text) == root:
            return at
    return mention_in_tests(condition, place, root) or place


def root_of(field: str) -> str | None:
    """The root of a field's path."""
    text = field.strip().removeprefix("{{").removesuffix("}}").strip()
    try:
        return compile_path(text).root
    except PathError:
        return None


def _texts(value: Any, place: Place) -> Iterator[tuple[str, Place, Any]]:
    """Every text in a value, with its place and the container that holds it, in file order."""
    waiting: list[tuple[Any, Place, Any]] = [(value, place, None)]
    while waiting:
        node, at, parent = waiting.pop()
        if isinstance(node, str):
            yield node, at, parent
        elif isinstance(node, dict):
            waiting.extend((child, (*at, key), node) for key, child in reversed(node.items()))
        elif isinstance(node, list):
            waiting.extend(
                (child, (*at, index), node) for index, child in reversed([*enumerate(node)])
            )
