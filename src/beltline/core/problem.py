"""What is wrong with a definition, and where: the one currency of every check."""

from __future__ import annotations

from typing import Literal

import msgspec

Place = tuple[str | int, ...]


class Problem(msgspec.Struct, frozen=True):
    """One finding about a definition, addressed by its place in the data.

    `place` is the way of keys and indices from the root of the file, such as
    `("steps", 2, "condition", 0, "field")`; the loader turns it into a line and a column.
    `suggestion` says what to write instead, and is empty where nothing better is known.
    """

    place: Place
    message: str
    suggestion: str = ""
    severity: Literal["error", "warning"] = "error"
