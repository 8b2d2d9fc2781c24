"""Faults on demand: what a test orders, the next matching calls and events get.

`error` answers with an error instead of working, `slow` works after a delay that also counts as
operating time, `drop` closes the connection without having worked, and `lose-answer` works and then
closes the connection: the caller cannot know that the call was carried out.

Of events, `lose-event` is never sent, `double-event` is sent twice, and `late-event` is sent after
a delay, behind those that happened later. Their `method` is the name of the event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from bitrix24_portal.errors import RestError

CallFault = Literal["error", "slow", "drop", "lose-answer"]
EventFault = Literal["lose-event", "double-event", "late-event"]
FaultKind = CallFault | EventFault
CALL_KINDS: tuple[CallFault, ...] = get_args(CallFault)
EVENT_KINDS: tuple[EventFault, ...] = get_args(EventFault)
KINDS: tuple[FaultKind, ...] = (*CALL_KINDS, *EVENT_KINDS)
MAX_FAULTS = 1_000


@dataclass(slots=True)
class Fault:
    """One order: for calls or events whose name matches the pattern, `times` of them, each `nth`
    that comes.
    """

    kind: FaultKind
    method: str = "*"
    times: int = 1
    status: int = 500
    error: str = "INTERNAL_SERVER_ERROR"
    description: str = "Internal server error"
    delay_s: float = 0.0
    nth: int = 1
    _passed: int = field(default=0, init=False)

    def is_met(self) -> bool:
        """Counts one that matches, and tells whether it is its turn."""
        self._passed += 1
        return self._passed % self.nth == 0

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
        return self._take(method, CALL_KINDS)

    def take_for_event(self, event: str) -> Fault | None:
        """The same for an event that is about to be sent."""
        return self._take(event, EVENT_KINDS)

    def _take(self, name: str, kinds: Collection[FaultKind]) -> Fault | None:
        for fault in self._orders:
            is_for_it = fault.kind in kinds and fnmatchcase(name.lower(), fault.method.lower())
            if is_for_it and fault.is_met():
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
        "nth": int,
    }
    for name, value in given.items():
        if name not in types:
            raise ValueError(f"unknown name {name!r}; known are {', '.join(types)}")
        if isinstance(value, bool) or not isinstance(value, types[name]):
            raise ValueError(f"{name}: wrong type")
    if given.get("kind") not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    if given.get("nth", 1) < 1:
        raise ValueError("nth: at least 1")
    return Fault(**given)
