"""How definitions see modules: by name, without knowing where they come from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec

from beltline.core.model import Effect
from beltline.core.problem import Place, Problem


class ModuleEntry(msgspec.Struct, frozen=True):
    """What the check of a step needs to know of its module.

    `pinned` is `name@major`, `connection_kind` the kind of connection that it needs (None: none).
    `transport` names how it is reached (`event`, `http`).
    `check` examines a step's `with` (plain data at the given place) and returns what is wrong;
    values that hold `{{ }}` are not known yet and pass.
    """

    pinned: str
    effect: Effect
    connection_kind: str | None
    check: Callable[[Any, Place], list[Problem]]
    transport: str = "event"


class ModuleIndex(Protocol):
    """The modules that a home can use."""

    def find(self, name: str) -> ModuleEntry | None:
        """The module that a step's `module:` names, or None."""
        ...

    def names(self) -> Collection[str]:
        """All names that `find` knows, for suggestions."""
        ...
