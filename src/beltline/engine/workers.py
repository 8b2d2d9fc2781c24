"""What this node last heard of the workers behind its modules: which version answered, and when."""

from __future__ import annotations

import msgspec


class Heard(msgspec.Struct, frozen=True):
    """The worker that answered last: `version` as it calls itself, `at` in Unix milliseconds."""

    version: str
    at: int


class Workers:
    """The last answer of each bound name, since the start of this process."""

    def __init__(self) -> None:
        self._by_name: dict[str, Heard] = {}

    def hear(self, name: str, version: str, at: int) -> None:
        """A worker has answered under this name."""
        self._by_name[name] = Heard(version, at)

    def last(self, name: str) -> Heard | None:
        """Who answered last; None where nobody has yet."""
        return self._by_name.get(name)
