"""From a `condition` list to its program, with all that is wrong with it, each in its place.

Nothing recurses: what is still to be compiled waits on a stack, each part with the number of the
node that it must fill and the numbers of the nodes that follow it. Places are chains that share
their beginnings, so a thousand levels cost a thousand links, not half a million keys.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from beltline.core.comparisons import type_name
from beltline.core.doubts import ItemList, doubtful_items
from beltline.core.expression import Scope
from beltline.core.leaf import Leaf, LeafError, compile_comparison, compile_if
from beltline.core.limits import LIMITS
from beltline.core.problem import Place, Problem
from beltline.core.routing import Link, Node, Routing, Verdict, place_of

__all__ = ["Routing", "Verdict", "compile_routing"]

_TEST_KEYS: Final = ("field", "operation", "value", "and", "or", "not", "if")
_ITEM_KEYS: Final = (*_TEST_KEYS, "result", "success", "failure")
_LISTS: Final = ("and", "or", "not")


class Pending(NamedTuple):
    """A part that waits to be compiled into node `at`, with the nodes that follow it.

    For a test these are where it leads when it holds and when not; for items and outcomes both
    are what comes after.
    """

    compile: Callable[[RoutingCompiler, Pending], None]
    data: Any
    link: Link
    level: int
    at: int
    yes: int
    no: int


def compile_routing(
    items: Any, *, match_all: bool, step_ids: Collection[str], place: Place
) -> tuple[Routing | None, list[Problem]]:
    """Compile a step's `condition`.

    Gives the routing, and every error with its place (`place` and the keys below it); None for
    the routing where there is an error. What is only doubtful stands in `Routing.warnings`.
    """
    if not isinstance(items, list):
        return None, [
            Problem(
                place,
                f"condition must be a list of items, not {type_name(items)}",
                "start each item with a dash",
            )
        ]
    compiler = RoutingCompiler(step_ids, place, match_all=match_all)
    return compiler.run(items), compiler.problems


class RoutingCompiler:
    """One compilation: the program so far, what waits, and what was found wrong."""

    def __init__(self, step_ids: Collection[str], base: Place, *, match_all: bool) -> None:
        self.step_ids = step_ids
        self.base = base
        self.match_all = match_all
        self.problems: list[Problem] = []
        self.roots: set[str] | None = set()
        self.program: list[Node] = []
        self.stack: list[Pending] = []
        self.lists: list[ItemList] = []
        self.outcomes: list[tuple[Link, list[str]]] = []  # in the order of the text
        self.leaves: dict[int, Leaf] = {}  # of items that hold a single test, by their node

    def run(self, items: list[Any]) -> Routing | None:
        """Compile everything; None where a problem was found."""
        first = self._new_node()
        end = self._new_node()
        self.stack.append(Pending(RoutingCompiler._items, items, None, 1, first, end, end))
        while self.stack:
            part = self.stack.pop()
            part.compile(self, part)
        if self.problems:
            return None
        warnings, always_decides = doubtful_items(
            self.lists, self.leaves, self.base, match_all=self.match_all
        )
        return Routing(
            tuple(self.program),
            self.outcomes,
            self.base,
            None if self.roots is None else frozenset(self.roots),
            warnings,
            always_decides=always_decides,
        )

    def _new_node(self) -> int:
        self.program.append(Node())
        return len(self.program) - 1

    def _refuse(self, link: Link, message: str, suggestion: str = "") -> None:
        self.problems.append(Problem(place_of(link, self.base), message, suggestion))

    def _too_deep(self, part: Pending) -> bool:
        if part.level <= LIMITS.condition_levels:
            return False
        self._refuse(
            part.link,
            f"conditions nest more than {LIMITS.condition_levels} levels deep"
            " (limit condition_levels)",
            "move the inner ones to a step of their own",
        )
        return True

    # Items

    def _items(self, part: Pending) -> None:
        """A list of items: each goes on to the next one, the last to what follows the list."""
        if self._too_deep(part):
            return
        if not part.data:  # only at the top: below, an empty list is an outcome of no steps
            self.program[part.at] = Node(test=_never, yes=part.no, no=part.no)
            return
        nodes = [part.at, *(self._new_node() for _ in part.data[1:]), part.no]
        self.lists.append(ItemList(part.link, part.data, nodes[:-1]))
        for index in range(len(part.data) - 1, -1, -1):
            following = nodes[index + 1]
            self.stack.append(
                Pending(
                    RoutingCompiler._item,
                    part.data[index],
                    (part.link, index),
                    part.level,
                    nodes[index],
                    following,
                    following,
                )
            )

    def _item(self, part: Pending) -> None:
        item = part.data
        if not isinstance(item, dict):
            self._refuse(
                part.link,
                f"a condition item is a mapping, not {type_name(item)}",
                "write it as field: ..., operation: ..., result: [...]",
            )
            return
        self._check_keys(item, part.link, _ITEM_KEYS, "an item of a condition")
        if "result" in item and "success" in item:
            self._refuse(
                (part.link, "success"),
                "result stands beside success: only one of them"
                " can say what happens when the test holds",
                "put the result into the success list, or leave one of them out",
            )
        elif not ("result" in item or "success" in item or "failure" in item):
            self._refuse(
                part.link,
                "the item leads nowhere: it has no result, success or failure",
                "add result: [step-id]; result: [] ends the branch",
            )
        ways = {"result": part.yes, "success": part.yes, "failure": part.no}
        for key in ("failure", "success", "result"):
            if key in item:
                ways[key] = self._new_node()
                self.stack.append(
                    Pending(
                        RoutingCompiler._outcome,
                        item[key],
                        (part.link, key),
                        part.level + 1,
                        ways[key],
                        part.yes,
                        part.no,
                    )
                )
        yes = ways["result"] if "result" in item else ways["success"]
        self.stack.append(
            Pending(
                RoutingCompiler._test, item, part.link, part.level, part.at, yes, ways["failure"]
            )
        )

    def _outcome(self, part: Pending) -> None:
        """What stands under result, success or failure: step ids, or items."""
        assert part.link is not None
        key = part.link[1]
        data = part.data
        if not isinstance(data, list):
            wanted = "step ids" if key == "result" else "items or of step ids"
            self._refuse(
                part.link,
                f"{key} must be a list of {wanted}, not {type_name(data)}",
                f"write {key}: [{data}]" if isinstance(data, str) else "",
            )
            return
        if key != "result" and data and all(isinstance(element, dict) for element in data):
            self._items(part)
            return
        wrong = [
            index
            for index, element in enumerate(data)
            if not isinstance(element, str) or not element
        ]
        for index in wrong:
            if key != "result" and isinstance(data[index], dict):
                self._refuse(
                    (part.link, index),
                    f"{key} mixes items and step ids",
                    "give either a list of items or a list of step ids",
                )
            else:
                self._refuse(
                    (part.link, index),
                    f"a step id is a text, not"
                    f" {type_name(data[index]) if data[index] != '' else 'an empty one'}",
                    "put it between quotes",
                )
        if len(data) > LIMITS.step_targets:
            self._refuse(
                part.link, f"more than {LIMITS.step_targets} steps at once (limit step_targets)"
            )
        if not wrong:
            self.outcomes.append((part.link, data))
            self.program[part.at] = Node(
                yes=part.yes if self.match_all else -1,
                to=tuple(dict.fromkeys(data)),
                link=part.link,
            )

    # Tests

    def _test(self, part: Pending) -> None:
        data = part.data
        kinds = [kind for kind in ("field", *_LISTS, "if") if kind in data]
        if not kinds and ("operation" in data or "value" in data):
            self._refuse(part.link, "the test has no field", "add field: the path of a value")
        elif not kinds:
            self._refuse(
                part.link,
                "the item has no test",
                "add field and operation, or if; what is to happen otherwise stands in"
                " the step's next",
            )
        elif len(kinds) > 1:
            self._refuse(
                (part.link, kinds[1]),
                f"{kinds[1]} stands beside {kinds[0]}: a test is one of them",
                "join the tests with and: [...] or or: [...]",
            )
        elif kinds[0] in _LISTS:
            self._test_list(part, kinds[0])
        else:
            self._leaf(part, kinds[0])

    def _test_list(self, part: Pending, kind: str) -> None:
        """`and`, `or`, `not` become jumps: no node of their own is needed."""
        for key in ("operation", "value"):
            if key in part.data:
                self._refuse(
                    (part.link, key),
                    f"{key} stands beside {kind}, and has no field",
                    f"put it into one of the tests of {kind}",
                )
        tests = part.data[kind]
        link: Link = (part.link, kind)
        if not isinstance(tests, list) or not tests:
            self._refuse(
                link, f"{kind} must be a list of at least one test", "start each test with a dash"
            )
            return
        inner = part._replace(link=link, level=part.level + 1)
        if self._too_deep(inner):
            return
        yes, no = (part.no, part.yes) if kind == "not" else (part.yes, part.no)
        nodes = [part.at, *(self._new_node() for _ in tests[1:])]
        for index in range(len(tests) - 1, -1, -1):
            last = index == len(tests) - 1
            following = -1 if last else nodes[index + 1]
            if kind == "and":
                ways = (yes if last else following, no)
            else:
                ways = (yes, no if last else following)
            self.stack.append(
                Pending(
                    RoutingCompiler._inner_test,
                    tests[index],
                    (link, index),
                    inner.level,
                    nodes[index],
                    *ways,
                )
            )

    def _inner_test(self, part: Pending) -> None:
        if not isinstance(part.data, dict):
            self._refuse(
                part.link,
                f"a test is a mapping, not {type_name(part.data)}",
                "write it as field: ..., operation: ...",
            )
            return
        self._check_keys(part.data, part.link, _TEST_KEYS, "a test")
        self._test(part)

    def _leaf(self, part: Pending, kind: str) -> None:
        try:
            if kind == "if":
                leaf = compile_if(part.data, self.step_ids)
            else:
                leaf = compile_comparison(part.data)
        except LeafError as error:
            self._refuse(
                (part.link, error.key) if error.key else part.link, str(error), error.suggestion
            )
            return
        if leaf.roots is None or self.roots is None:
            self.roots = None
        else:
            self.roots |= leaf.roots
        if part.compile is RoutingCompiler._test:  # of an item, not inside and, or, not
            self.leaves[part.at] = leaf
        self.program[part.at] = Node(
            read=leaf.read,
            check=leaf.check,
            test=leaf.test,
            name=leaf.name,
            yes=part.yes,
            no=part.no,
        )

    def _check_keys(
        self, data: dict[Any, Any], link: Link, known: Collection[str], what: str
    ) -> None:
        for key in data:
            if key in known:
                continue
            if key in _ITEM_KEYS:
                self._refuse(
                    (link, key),
                    f"{key} cannot stand in {what}",
                    "it belongs to the item that holds the test",
                )
                continue
            near = difflib.get_close_matches(str(key).lower(), known, 1)
            self._refuse(
                (link, key if type(key) is int else str(key)),
                f"unknown key {key!r} in {what}",
                f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}",
            )


def _never(
    document: Mapping[str, Any], scope: Scope, saw: dict[str, Any], notes: list[str]
) -> bool:
    """The test of an empty list: nothing is asked, nothing decides."""
    return False
