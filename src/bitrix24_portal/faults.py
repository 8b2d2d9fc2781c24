"""Faults on demand: what a test orders, the next matching calls get.

`error` answers with an error instead of working, `slow` works after a delay that also counts as
operating time, `drop` closes the connection without having worked, and `lose-answer` works and then
closes the connection: the caller cannot know that the call was carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from bitrix24_portal.errors import RestError

FaultKind = Literal["error", "slow", "drop", "lose-answer"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
MAX_FAULTS = 1_000


@dataclass(slots=True)
class Fault:
    """One order: for calls whose method matches the pattern, the next `times` of them."""

    kind: FaultKind
    method: str = "*"
    times: int = 1
    status: int = 500
    error: str = "INTERNAL_SERVER_ERROR"
    description: str = "Internal server error"
    delay_s: float = 0.0

    def raised(self) -> RestError:
        """The error that an `error` fault answers with."""
        return RestError(self.error, self.description, self.status)


class Faults:
    """The orders that are not used up, oldest first."""

    def __init__(self, orders: list[Fault] | None = None) -> None:
        self._orders = list(orders or [])

    def order(self, fault: Fault) -> None:
        """Adds an order; the oldest gives way beyond a thousand."""
        self._orders.append(fault)
        del self._orders[:-MAX_FAULTS]

    def clear(self) -> None:
        """Drops all orders."""
        self._orders.clear()

    def take(self, method: str) -> Fault | None:
        """The oldest order for this method, one time less of it; None when there is none."""
        for fault in self._orders:
            if fnmatchcase(method.lower(), fault.method.lower()):
                fault.times -= 1
                if fault.times <= 0:
                    self._orders.remove(fault)
                return fault
        return None


def read_fault(given: Mapping[str, Any]) -> Fault:
    """An order from JSON.

    Raises:
        ValueError: an unknown name or kind, or a value of a wrong type.
    """
    types: dict[str, type | tuple[type, ...]] = {
        "kind": str,
        "method": str,
        "times": int,
        "status": int,
        "error": str,
        "description": str,
        "delay_s": (int, float),
    }
    for name, value in given.items():
        if name not in types:
            raise ValueError(f"unknown name {name!r}; known are {', '.join(types)}")
        if isinstance(value, bool) or not isinstance(value, types[name]):
            raise ValueError(f"{name}: wrong type")
    if given.get("kind") not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    return Fault(**given)
