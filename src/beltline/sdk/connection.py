"""An account of an outside system as handlers are given it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Secret:
    """A secret that does not print itself: `reveal()` gives it to the one place that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret's text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Connection(msgspec.Struct, frozen=True):
    """A named account of an outside system, as its file in `connections/` gives it."""

    name: str
    kind: str
    address: str = ""
    secret: Secret | None = None
    options: dict[str, Any] = {}

    def below(self, home: Path) -> Connection:
        """The same, where an address is a relative file of SQLite: found from `home` on."""
        before, is_file, file = self.address.partition("sqlite:///")
        if before or not is_file or file.startswith("/"):
            return self
        return msgspec.structs.replace(self, address=f"sqlite:///{home.absolute()}/{file}")
