"""How a bug is planted: a piece of a function's source text is replaced, and the function is
compiled anew in the module where it lives. The piece must be there: when that code changes, the bug
has to be planted anew.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from beltline.core import decide, run


class Patch(NamedTuple):
    """In function `name` of `owner` (a module or a class), `old` becomes `new`."""

    owner: Any
    name: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A planted bug, and the checker that must find it."""

    name: str
    found_by: str
    patches: tuple[Patch, ...]
    is_of_several: bool = False  # it is looked for with several nodes


def mutant(name: str, found_by: str, *patches: tuple[Any, str, str, str]) -> Mutant:
    """A mutant from plain tuples."""
    return Mutant(name, found_by, tuple(Patch(*patch) for patch in patches))


def between_nodes(name: str, found_by: str, *patches: tuple[Any, str, str, str]) -> Mutant:
    """One that shows only where several nodes share a store."""
    return mutant(name, found_by, *patches)._replace(is_of_several=True)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The bug is there inside the block."""
    originals = [(patch, _find(patch)) for patch in mutant.patches]
    try:
        for patch, original in originals:
            _put(patch, _rewritten(patch, original))
        yield
    finally:
        for patch, original in reversed(originals):
            _put(patch, original)


def _find(patch: Patch) -> Any:
    return vars(patch.owner)[patch.name]


def _put(patch: Patch, function: Any) -> None:
    original = _find(patch)
    setattr(patch.owner, patch.name, function)
    # Others have imported it by name, or keep it in a table.
    for name, module in list(sys.modules.items()):
        if (
            name.startswith(("beltline.", "tests.simulation."))
            and vars(module).get(patch.name) is original
        ):
            setattr(module, patch.name, function)
    for table in (run._APPLY, decide._RULES):
        for key, value in table.items():
            if value is original:
                table[key] = function


def _rewritten(patch: Patch, original: Any) -> Any:
    """The function compiled from its changed source, in the module where it lives."""
    function: Any = original.fget if isinstance(original, property) else original
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(patch.old)
    assert count == 1, (
        f"{patch.name} has {count} times {patch.old!r}: plant this bug anew in mutants.py"
    )
    scope: dict[str, Any] = {}
    code = compile(
        "from __future__ import annotations\n" + source.replace(patch.old, patch.new),
        f"<planted in {patch.name}>",
        "exec",
    )
    exec(code, function.__globals__, scope)  # noqa: S102 - the text is ours
    return scope[patch.name]
