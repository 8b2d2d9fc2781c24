"""Which reader reads a text: by the format asked for, or by the file's ending."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from beltline.core.limits import LIMITS, Limits
from beltline.definition.json_reader import read_json
from beltline.definition.original import read_original
from beltline.definition.tree import Document
from beltline.definition.yaml_reader import read_yaml

Format = Literal["yaml", "json", "php"]


def format_of(file: str) -> Format:
    """The format that a file's ending tells; YAML where it tells none."""
    ending = PurePath(file).suffix.lower()
    return "json" if ending == ".json" else "php" if ending == ".php" else "yaml"


def read_document(
    text: str, format: Format, *, name: str | None = None, limits: Limits = LIMITS
) -> Document:
    """Reads `text` into a positioned tree. A PHP array of steps by id becomes the data of the
    process `name`. Raises `Unreadable`.
    """
    if format == "json":
        return read_json(text, limits=limits)
    if format == "yaml":
        return read_yaml(text, limits=limits)
    return read_original(text, name=name or "process", limits=limits).document
