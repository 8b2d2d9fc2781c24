"""Routing: a step's `condition` list as a flat program of tests and jumps.

The list may nest 1,000 levels deep, so evaluating it does not recurse: it is a loop over nodes,
each a test with the numbers of the two nodes that may follow, or an outcome.

    - field: A                                  0  A ? 1 : 3
      success:                                  1  B ? 2 : 3
        - {field: B, result: [x]}               2  outcome (x,) by condition[0].success[0]
    - {field: C, result: [y]}                   3  C ? 4 : 5
                                                4  outcome (y,) by condition[1]
                                                5  end

`condition` writes the program and finds what is wrong with the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from beltline.core.comparisons import Check
from beltline.core.expression import Scope
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING, Reader
from beltline.core.problem import Place, Problem

Saw = dict[str, Any]
AnyTest = Callable[[Mapping[str, Any], Scope, Saw, list[str]], bool]
"""A test that reads more than one path: it writes what it saw and its notes itself."""

Link = tuple[Any, str | int] | None
"""A place as a chain to its parent: a thousand levels share their beginnings."""

SHOWN_MISSING: Final[Mapping[str, Any]] = {"$missing": True}


class Verdict(msgspec.Struct, frozen=True):
    """What a condition list decided, and why.

    `to` are the chosen step ids without repeats: () is an outcome of no steps, None says that no
    item gave an outcome. `by` are the paths of the items that decided, such as
    ``condition[0].success[0]``. `saw` is what the tests on the way read, by the text of the
    field: a missing value stands as ``{"$missing": true}``, one of more than
    `LIMITS.saw_value_bytes` as ``{"$shortened": "its beginning"}``. `notes` tell of comparisons
    that could not be made.
    """

    to: tuple[str, ...] | None
    by: tuple[str, ...]
    saw: dict[str, Any]
    notes: tuple[str, ...]


class Node(msgspec.Struct, frozen=True, gc=False):
    """One place of the program.

    A test of one path has `read` and `check`; any other test has `test`; `name` is the field's
    text. `yes` and `no` number the following nodes. An outcome has `to` and goes on to `yes`
    where all items are asked; the end has nothing.
    """

    read: Reader | None = None
    check: Check | None = None
    test: AnyTest | None = None
    name: str = ""
    yes: int = -1
    no: int = -1
    to: tuple[str, ...] | None = None
    link: Link = None


def place_of(link: Link, base: Place = ()) -> Place:
    """Write a chain out as a place below `base`."""
    keys: list[str | int] = []
    while link is not None:
        link, key = link
        keys.append(key)
    return (*base, *reversed(keys))


class Routing:
    """A compiled condition list; see `condition.compile_routing`.

    `targets` are all step ids that it can lead to, in the order of the text; `roots` the keys of
    the document that it can read (None: any); `warnings` what can never hold or be reached;
    `always_decides` holds where some item provably gives an outcome, whatever the document is.
    """

    __slots__ = (
        "_base",
        "_outcomes",
        "_paths",
        "_program",
        "_steps",
        "always_decides",
        "roots",
        "targets",
        "warnings",
    )

    def __init__(
        self,
        program: tuple[Node, ...],
        outcomes: list[tuple[Link, list[str]]],
        base: Place,
        roots: frozenset[str] | None,
        warnings: list[Problem],
        *,
        always_decides: bool,
    ) -> None:
        self._program = program
        self._outcomes = outcomes
        # The same nodes as plain tuples: unpacking one is quicker than asking for six fields.
        self._steps = tuple(
            (node.read, node.check, node.test, node.name, node.yes, node.no) for node in program
        )
        self._base = base
        self._paths: dict[int, str] = {}
        self.roots = roots
        self.warnings = warnings
        self.always_decides = always_decides
        self.targets = tuple(dict.fromkeys(target for _, written in outcomes for target in written))

    @property
    def target_places(self) -> Iterator[tuple[str, Place]]:
        """Every step id with its place, as often as it is written; made while it is asked for."""
        for link, written in self._outcomes:
            for index, target in enumerate(written):
                yield target, (*place_of(link, self._base), index)

    def places_of(self, target: str) -> Iterator[Place]:
        """The places where one step id is written."""
        for link, written in self._outcomes:
            for index, candidate in enumerate(written):
                if candidate == target:
                    yield (*place_of(link, self._base), index)

    def evaluate(self, document: Mapping[str, Any], scope: Scope) -> Verdict:
        """Decide on a document; raises `ExpressionFailed` where an `if` fails."""
        steps = self._steps
        saw: Saw = {}
        notes: list[str] = []
        decided: list[int] = []
        at = 0
        while True:
            read, check, test, name, yes, no = steps[at]
            if check is not None:
                value = read(document)  # type: ignore[misc]  # it has both or neither
                saw[name] = value
                at = yes if check(value) else no
            elif test is not None:
                at = yes if test(document, scope, saw, notes) else no
            elif yes < 0:  # the end, or an outcome where the first one wins
                if self._program[at].to is not None:
                    decided.append(at)
                break
            else:
                decided.append(at)
                at = yes
        for name, value in saw.items():
            if value is not None and value is not True and value is not False:
                saw[name] = shown(value)
        if not decided:
            return Verdict(None, (), saw, tuple(notes))
        if len(decided) == 1:
            return Verdict(
                self._program[decided[0]].to, (self._path(decided[0]),), saw, tuple(notes)
            )
        to = dict.fromkeys(target for at in decided for target in self._program[at].to or ())
        return Verdict(tuple(to), tuple(map(self._path, decided)), saw, tuple(notes))

    def _path(self, at: int) -> str:
        """The path of an outcome, written when it is first needed."""
        path = self._paths.get(at)
        if path is None:
            keys = place_of(self._program[at].link)
            if keys[-1] == "result":
                keys = keys[:-1]
            path = "condition" + "".join(
                f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys
            )
            self._paths[at] = path
        return path


# What a decision shows of the values that it saw


def shown(value: Any) -> Any:
    """A value as the journal's reason carries it: a JSON value, and a short one."""
    if isinstance(value, str):
        if len(value) * 6 + 2 <= LIMITS.saw_value_bytes or fits(value, LIMITS.saw_value_bytes):
            return value
        return {"$shortened": value[: LIMITS.saw_value_bytes // 6] + "…"}
    if value is MISSING:
        return SHOWN_MISSING
    if isinstance(value, int):
        few = value.bit_length() <= 3 * LIMITS.saw_value_bytes  # a digit takes over three bits
        return value if few else {"$shortened": f"a number of {value.bit_length()} bits"}
    if isinstance(value, list):
        return (
            value
            if fits(value, LIMITS.saw_value_bytes)
            else {"$shortened": f"a list of {len(value)}"}
        )
    if isinstance(value, dict):
        if fits(value, LIMITS.saw_value_bytes):
            return value
        names = ", ".join(str(key)[:20] for key in list(value)[:5])
        return {"$shortened": f"an object of {len(value)}: {names}"}
    return value


def fits(value: Any, limit: int) -> bool:
    """Whether a value takes at most `limit` bytes as JSON; looks no further than it has to."""
    pending = [value]
    left = limit
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            if len(part) > left:
                return False
            left -= len(msgspec.json.encode(part)) if part.isascii() else _text_bytes(part)
        elif isinstance(part, list | dict):
            left -= 2 + max(0, len(part) - 1)
            if len(part) > left:
                return False
            if isinstance(part, dict):
                left -= len(part)
                pending.extend(part)
                pending.extend(part.values())
            else:
                pending.extend(part)
        else:
            left -= len(repr(part))
        if left < 0:
            return False
    return True


def _text_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) + 2
