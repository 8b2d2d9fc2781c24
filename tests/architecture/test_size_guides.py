"""No file and no function outgrows the guides without a written reason.

A file of up to 400 lines is read in one sitting, a function of up to 60 is seen at once. What is
better longer stands in exceptions.toml with its reason and its own bound; an exception that is no
longer needed fails too, so that the list stays true.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source_tree import ROOT, python_files, relative

FILE_LINES = 400
FUNCTION_LINES = 60
FOLDERS = ("src", "tests", "bench")
EXCEPTIONS = Path(__file__).with_name("exceptions.toml")


class Piece(NamedTuple):
    """A file (`function` is "") or a function by its qualified name."""

    path: str
    function: str


class Exemption(NamedTuple):
    lines: int
    reason: str


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Every function under a node with its length in lines, its decorators left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, (child.end_lineno or child.lineno) - child.lineno + 1
            yield from functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{prefix}{child.name}.")
        else:
            yield from functions(child, prefix)


def oversized(path: str, text: str) -> dict[Piece, int]:
    """What in this file is longer than the guides, with its length."""
    lines = len(text.splitlines())
    found = {Piece(path, ""): lines} if lines > FILE_LINES else {}
    for name, length in functions(ast.parse(text)):
        if length > FUNCTION_LINES:
            found[Piece(path, name)] = length
    return found


def oversized_in_tree() -> dict[Piece, int]:
    found: dict[Piece, int] = {}
    for path in python_files(*FOLDERS):
        found |= oversized(relative(path), path.read_text(encoding="utf-8"))
    return found


def exemptions(text: str) -> dict[Piece, Exemption]:
    """The allow-list: tables `[[file]]` and `[[function]]`; unknown keys are refused."""
    data = tomllib.loads(text)
    assert data.keys() <= {"file", "function"}, f"unknown table in exceptions.toml: {list(data)}"
    allowed: dict[Piece, Exemption] = {}
    for kind, keys in (
        ("file", {"path", "lines", "reason"}),
        ("function", {"path", "name", "lines", "reason"}),
    ):
        for entry in data.get(kind, []):
            assert entry.keys() == keys, f"a [[{kind}]] has {sorted(keys)}, not {sorted(entry)}"
            piece = Piece(entry["path"], entry.get("name", ""))
            assert piece not in allowed, f"{piece} stands twice in exceptions.toml"
            allowed[piece] = Exemption(entry["lines"], entry["reason"])
    return allowed


def complaints(found: dict[Piece, int], allowed: dict[Piece, Exemption]) -> list[str]:
    """What is too long without a reason, and which reasons are not needed or say nothing."""
    said = []
    for piece, lines in found.items():
        place = f"{piece.path}: {piece.function or 'the file'}"
        if piece not in allowed:
            guide = FUNCTION_LINES if piece.function else FILE_LINES
            said.append(f"{place} has {lines} lines, the guide is {guide}")
        elif lines > allowed[piece].lines:
            said.append(f"{place} has {lines} lines, its exception says {allowed[piece].lines}")
    for piece, exemption in allowed.items():
        place = f"exceptions.toml: {piece.path} {piece.function}".rstrip()
        if piece not in found:
            said.append(f"{place} is within the guides or gone: remove the entry")
        if len(exemption.reason.split()) < 5:
            said.append(f"{place} needs a reason that a reader can judge")
    return said


def test_nothing_outgrows_the_guides_without_a_reason() -> None:
    allowed = exemptions(EXCEPTIONS.read_text(encoding="utf-8"))
    assert complaints(oversized_in_tree(), allowed) == []


def test_the_guides_are_held_against_code_that_exists() -> None:
    assert (ROOT / "src/beltline/core").is_dir()
    assert len(list(python_files("src"))) > 5


def test_a_long_file_and_a_long_function_are_found() -> None:
    long_function = "class A:\n    async def b(self):\n" + "        pass\n" * FUNCTION_LINES
    assert oversized("x.py", long_function) == {Piece("x.py", "A.b"): FUNCTION_LINES + 1}
    assert oversized("x.py", "\n" * (FILE_LINES + 1)) == {Piece("x.py", ""): FILE_LINES + 1}
    assert oversized("x.py", "def b():\n" + "    pass\n" * (FUNCTION_LINES - 1)) == {}


def test_an_exception_has_a_bound_a_reason_and_a_need() -> None:
    piece = Piece("x.py", "")
    reason = "The table of states reads best as one."
    assert complaints({piece: 450}, {piece: Exemption(450, reason)}) == []
    assert len(complaints({piece: 451}, {piece: Exemption(450, reason)})) == 1
    assert len(complaints({piece: 450}, {piece: Exemption(450, "long")})) == 1
    assert len(complaints({}, {piece: Exemption(450, reason)})) == 1
