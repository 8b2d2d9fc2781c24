"""The files of this repository, as the tests of its rules see them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python_files(*folders: str) -> Iterator[Path]:
    """Every Python file under these folders of the repository, in a fixed order."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.is_relative_to(ROOT / folder / ".venv"):
                yield path


@cache
def kept_files() -> tuple[Path, ...]:
    """Every file that is committed, or would be: what git lists and does not ignore.

    Skips the calling test outside a git checkout, where nobody can tell.
    """
    # The owner of a checkout may be another user (a container, a mount): here it is only read.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files are committed is not known")
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def relative(path: Path) -> str:
    """The path as people write it: from the root of the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


def imported_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere in it, with the line.

    `from a import b` gives `a.b`, since `b` may be a module. Raises ValueError for a relative
    import, which the rules of this project refuse.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: relative import")
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def is_within(name: str, package: str) -> bool:
    """Whether a dotted name is this package or lies in it."""
    return name == package or name.startswith(package + ".")
