"""Where modules come from: the installed packages' entry points, and a home's `modules/*.py`.

Importing a module's file registers nothing; what is found here is put into a `Catalog`, which is a
value. A file that fails to load is told with its name and its error, and the others still load.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from beltline.sdk import Module

GROUP = "beltline.modules"


class LoadFailure(msgspec.Struct, frozen=True):
    """A place that should have given a module, and why it did not. `line` is 0 if unknown."""

    source: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        return (
            f"{self.source}:{self.line}: {self.message}"
            if self.line
            else (f"{self.source}: {self.message}")
        )


class Found(msgspec.Struct, frozen=True):
    """The modules of one place, and what went wrong there."""

    modules: tuple[Module[Any, Any], ...] = ()
    failures: tuple[LoadFailure, ...] = ()


def installed(points: Iterable[EntryPoint] | None = None) -> Found:
    """The modules of the entry points of the group `beltline.modules`."""
    modules: list[Module[Any, Any]] = []
    failures: list[LoadFailure] = []
    for point in entry_points(group=GROUP) if points is None else points:
        source = f"entry point {point.name} = {point.value}"
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001 - foreign code runs here, and may raise anything
            failures.append(_failure(source, error))
            continue
        if not isinstance(found, Module):
            failures.append(LoadFailure(source, f"a Module is wanted, not {_kind(found)}"))
        elif found.name != point.name:
            failures.append(
                LoadFailure(source, f"the module there is named {found.name!r}; name it alike")
            )
        else:
            modules.append(found)
    return Found(tuple(modules), tuple(failures))


def of_home(folder: Path) -> Found:
    """The modules of a home's folder `modules/`: each file defines `module` or `modules`.

    Files whose names begin with `_` are left out: others may import them.
    """
    modules: list[Module[Any, Any]] = []
    failures: list[LoadFailure] = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        found = of_file(path)
        failures.extend(found.failures)
        for module in found.modules:
            if module.effect == "pure":
                # Pure modules run inside the belt's own loop, where a slow one stops every run.
                failures.append(
                    LoadFailure(
                        str(path),
                        f"the module {module.name!r} is declared pure, which only modules of the"
                        " hub itself can be: write idempotent",
                    )
                )
            else:
                modules.append(module)
    return Found(tuple(modules), tuple(failures))


def of_file(path: Path) -> Found:
    """The modules of one file, of whatever effect."""
    try:
        loaded = _load(path)
    except Exception as error:  # noqa: BLE001 - foreign code runs here, and may raise anything
        return Found(failures=(_failure(str(path), error),))
    return _found_in(loaded, str(path))


def of_package(name: str) -> Found:
    """The modules of a Python module that can be imported by this name, of whatever effect."""
    try:
        loaded = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - foreign code runs here, and may raise anything
        return Found(failures=(_failure(name, error),))
    return _found_in(loaded, name)


def _found_in(loaded: ModuleType, source: str) -> Found:
    """What an imported Python module defines: as `module`, or as `modules`."""
    try:
        defined = list(_defined(loaded))
    except Exception as error:  # noqa: BLE001 - foreign code runs here, and may raise anything
        return Found(failures=(_failure(source, error),))
    modules = tuple(one for one in defined if isinstance(one, Module))
    failures = [
        LoadFailure(source, f"a Module is wanted, not {_kind(one)}")
        for one in defined
        if not isinstance(one, Module)
    ]
    if not defined:
        failures = [LoadFailure(source, "it defines neither `module = Module(…)` nor `modules`")]
    return Found(modules, tuple(failures))


def _load(path: Path) -> ModuleType:
    """Runs the file as a Python module of its own, under a name that no other file has."""
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    name = f"beltline_home_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[name] = python_module  # msgspec looks annotations up there
    try:
        spec.loader.exec_module(python_module)
    except BaseException:
        del sys.modules[name]
        raise
    return python_module


def _defined(python_module: ModuleType) -> Iterator[Any]:
    if hasattr(python_module, "module"):
        yield python_module.module
    yield from getattr(python_module, "modules", ())


def _failure(source: str, error: Exception) -> LoadFailure:
    """The error, at the line of the file itself where it came from there."""
    line = 0
    if isinstance(error, SyntaxError) and error.filename == source:
        line = error.lineno or 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == source:
            line = frame.lineno or 0
    return LoadFailure(source, f"{type(error).__name__}: {error}", line)


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
