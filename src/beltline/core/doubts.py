"""What can be seen of a condition list without a document: items that cannot hold or be reached.

Only what is certain is said. Two facts are enough: a document does not change while a list is
asked, and a test gives either its answer or the opposite one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from beltline.core.leaf import Leaf
from beltline.core.problem import Place, Problem
from beltline.core.routing import Link, place_of


class ItemList(NamedTuple):
    """One list of items of a condition: where it stands, its data, and the node of each item."""

    link: Link
    items: list[Any]
    nodes: list[int]


def doubtful_items(
    lists: list[ItemList], leaves: Mapping[int, Leaf], base: Place, *, match_all: bool
) -> tuple[list[Problem], bool]:
    """Look through all lists of items of one condition, the outermost first.

    `leaves` holds the tests of items that are a single one, by node. Gives the warnings, and
    whether the outermost list gives an outcome whatever the document is.
    """
    warnings: list[Problem] = []
    always_decides = False
    for entry in lists:
        decides = _look_through(entry, leaves, base, warnings, match_all=match_all)
        if entry.link is None:
            always_decides = decides
    return warnings, always_decides


def _look_through(
    entry: ItemList,
    leaves: Mapping[int, Leaf],
    base: Place,
    warnings: list[Problem],
    *,
    match_all: bool,
) -> bool:
    """Whether the list certainly gives an outcome; appends what can never hold or be reached."""

    def warn(index: int, message: str, suggestion: str) -> None:
        warnings.append(
            Problem(place_of((entry.link, index), base), message, suggestion, "warning")
        )

    # The answers that a test cannot give any more when the next item is asked: the item that
    # settled it, by the test's identity and the answer.
    settled: dict[tuple[Any, bool], int] = {}
    decides = False
    for index, (item, node) in enumerate(zip(entry.items, entry.nodes, strict=True)):
        leaf = leaves.get(node)
        if leaf is None:
            continue
        if leaf.never_holds:
            warn(index, f"the test can never hold: {leaf.never_holds}", "")
        if leaf.identity is None:
            continue
        holds = not leaf.is_negated
        same = settled.get((leaf.identity, holds))
        if same is not None and not match_all and "failure" not in item:
            warn(
                index,
                f"the item can never hold: item {same} has settled its test before",
                "remove one of the two, or change its test",
            )
        if _is_outcome(item, "result") or _is_outcome(item, "success"):
            settled.setdefault((leaf.identity, holds), index)
        if _is_outcome(item, "failure"):
            settled.setdefault((leaf.identity, not holds), index)
        if (leaf.identity, True) in settled and (leaf.identity, False) in settled:
            decides = True
            if not match_all and index + 1 < len(entry.items):
                warn(
                    index + 1,
                    "the item can never be reached: the items before it cover every case",
                    "move it up, or remove it",
                )
                break
    return decides


def _is_outcome(item: Mapping[str, Any], key: str) -> bool:
    """Whether step ids stand there, not items that may give nothing."""
    return key in item and not any(isinstance(element, dict) for element in item[key])
