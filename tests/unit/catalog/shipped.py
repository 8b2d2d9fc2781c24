"""The modules in the folder `modules/`, read from the files themselves."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import beltline.modules
from beltline.sdk import Module

FOLDER = Path(beltline.modules.__file__).parent


def shipped_files() -> dict[str, Module[Any, Any]]:
    """Each module by its place below `beltline.modules`: the dotted name of its file, and after a
    colon its own name there, where the file declares several.
    """
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        dotted = ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        python_module = importlib.import_module(f"beltline.modules.{dotted}")
        if hasattr(python_module, "module"):
            found[dotted] = python_module.module
        for one in getattr(python_module, "modules", ()):
            name = next(name for name, value in vars(python_module).items() if value is one)
            found[f"{dotted}:{name}"] = one
    return found


SHIPPED = shipped_files()
