"""The core decides from its arguments alone; modules see the sdk and clients; the portal is apart.

import-linter holds the layers between packages. This test goes where it cannot: what the core may
import is a list of what is allowed, so that a new way to the clock, to chance or to the outside
fails by default, and calls are looked at too. A decision must come out the same in a replay, in
the simulator, and in another process with another hash seed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import imported_names, is_within, python_files, relative

# Libraries that compute and do nothing else. A name is added here only when that holds for it.
CORE_IMPORTS = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "beltline.core",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "msgspec",
        "operator",
        "orjson",
        "re",
        "re2",
        "string",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zlib",
    }
)
# The expression library stands behind one file, so that it can be exchanged.
EXPRESSION_LIBRARY = "jsonatapy"
EXPRESSION_FILE = "src/beltline/core/expression.py"

# Calls that give something else on each run, or reach outside. `hash` of a text changes with the
# process; `id` is an address.
IMPURE_CALLS = frozenset(
    {"__import__", "breakpoint", "eval", "exec", "hash", "id", "input", "open", "print"}
)
IMPURE_METHODS = frozenset({"now", "today", "utcnow"})
IMPURE_RECEIVERS = frozenset({"date", "datetime"})

# Modules ask their context for the outgoing client, which guards the addresses.
OWN_WAYS_OUT = ("aiohttp", "ftplib", "http.client", "requests", "socket", "urllib.request")


def impurities(path: str, text: str) -> Iterator[str]:
    """What in a file of the core could make a decision differ, with its line."""
    tree = ast.parse(text)
    for name, line in imported_names(tree):
        is_library = path == EXPRESSION_FILE and is_within(name, EXPRESSION_LIBRARY)
        if not is_library and not any(is_within(name, allowed) for allowed in CORE_IMPORTS):
            yield f"{path}:{line}: imports {name}"
    for node in nodes(tree):
        found = impure_construct(node)
        if found:
            yield f"{path}:{getattr(node, 'lineno', 0)}: {found}"


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a file but those of a `__hash__`, whose value stays in its own process."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.FunctionDef) and node.name == "__hash__"):
            yield node
            yield from nodes(node)


def impure_construct(node: ast.AST) -> str:
    """Names the construct when it is one that the core may not use, else gives ""."""
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return "is asynchronous"
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
            return f"calls {name}()"
        case ast.Call(
            func=ast.Attribute(
                value=ast.Name(id=receiver) | ast.Attribute(attr=receiver), attr=method
            )
        ) if receiver in IMPURE_RECEIVERS and method in IMPURE_METHODS:
            return f"calls {receiver}.{method}()"
        case ast.For(iter=source) | ast.comprehension(iter=source) if is_set(source):
            return "goes through a set, whose order changes with the process: sort it"
        case ast.Global() | ast.Nonlocal():
            return "changes a name outside the function"
        case _:
            return ""


def is_set(node: ast.expr) -> bool:
    """Whether an expression plainly makes a set."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case _:
            return False


def foreign_imports(path: str, text: str, own: str, allowed: tuple[str, ...]) -> Iterator[str]:
    """Imports from the package `own` that lie in none of the allowed parts of it."""
    for name, line in imported_names(ast.parse(text)):
        if is_within(name, own) and not any(is_within(name, part) for part in allowed):
            yield f"{path}:{line}: imports {name}"


def ways_out(path: str, text: str) -> Iterator[str]:
    """Imports by which a module would go out past the guarded client."""
    for name, line in imported_names(ast.parse(text)):
        if any(is_within(name, way) for way in OWN_WAYS_OUT):
            yield f"{path}:{line}: imports {name}, ask the context for its client"


def sources(folder: str) -> list[tuple[str, str]]:
    files: list[Path] = list(python_files(folder))
    assert files, f"{folder} is empty: a rule about nothing cannot fail"
    return [(relative(path), path.read_text("utf-8")) for path in files]


def test_the_core_decides_from_its_arguments_alone() -> None:
    assert [found for source in sources("src/beltline/core") for found in impurities(*source)] == []


def test_modules_see_only_the_sdk() -> None:
    allowed = ("beltline.sdk", "beltline.modules", "beltline.clients")
    for source in sources("src/beltline/modules"):
        assert list(foreign_imports(*source, "beltline", allowed)) == []
        assert list(ways_out(*source)) == []


def test_the_portal_and_the_hub_know_nothing_of_each_other() -> None:
    for source in sources("src/bitrix24_portal"):
        assert list(foreign_imports(*source, "beltline", ())) == []
    for source in sources("src/beltline"):
        assert list(foreign_imports(*source, "bitrix24_portal", ())) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "def f():\n    from random import random",
        "import asyncio.events as e",
        "import jsonatapy",
        "import beltline.engine",
        "from beltline import engine",
        "async def f(): ...",
        "import datetime\nx = datetime.datetime.now()",
        "from datetime import date\nx = date.today()",
        "x = open('a')",
        "x = hash('a')",
        "for a in {1, 2}: ...",
        "x = [a for a in set(y)]",
        "def f():\n    global x",
    ],
)
def test_an_impurity_is_found(text: str) -> None:
    assert len(list(impurities("src/beltline/core/planted.py", text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from beltline.core.model import Step",
        "from collections.abc import Mapping",
        "x = sorted(set(y))",
        "x = {a for a in y}",
        "from datetime import datetime\nx = datetime.fromtimestamp(1)",
        "class A:\n    def __hash__(self):\n        return hash(self.b)",
    ],
)
def test_pure_code_is_left_alone(text: str) -> None:
    assert list(impurities("src/beltline/core/planted.py", text)) == []


def test_foreign_imports_are_found() -> None:
    allowed = ("beltline.sdk",)
    for text in ("import beltline.core", "from beltline import core", "import beltline"):
        assert list(foreign_imports("m.py", text, "beltline", allowed))
    assert not list(foreign_imports("m.py", "from beltline.sdk import X", "beltline", allowed))
    assert list(ways_out("m.py", "import aiohttp"))
    assert not list(ways_out("m.py", "import http"))
