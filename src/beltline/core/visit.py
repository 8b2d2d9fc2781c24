"""One open activation of a step, and what it waits for."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.core.events import Error

Phase = Literal["dispatched", "deferred", "backoff", "waiting", "dead", "parked"]
VisitKey = tuple[str, int]


class Awaited(msgspec.Struct, frozen=True):
    """What comes for a visit from outside: an event of this `name` and `key`, or the decision of a
    person, of which `name` is the title; or a run that it started, of the process `name` with the
    id `key`. `note` says why that does not come.
    """

    kind: Literal["event", "approval", "child"]
    name: str
    key: str
    note: str = ""


class Items(msgspec.Struct):
    """How a visit stands that starts a run for each item: which item each run that is `under_way`
    has (by the run's id), the `results` by item and the `size` that they take as JSON, and which
    items have failed. `halted` says of runs under way why they stopped.
    """

    under_way: dict[str, int] = {}
    results: dict[int, Any] = {}
    size: int = 0
    failed: dict[int, Error] = {}
    halted: dict[str, str] = {}


class Visit(msgspec.Struct):
    """One open activation of a step.

    `at` is the deadline of a dispatched or deferred attempt, or when a backoff, a wait or a parking
    ends, in Unix milliseconds; a dead letter has none (0), nor has a wait without a bound. `input`
    is resolved once per visit. `reason` says why it is parked; `was_called` holds where an earlier
    attempt may have reached a handler. `awaits` is what it waits for beside the time, `items` where
    that is a run for each item; what is done of these stays done in a further attempt.
    """

    step: str
    number: int
    attempt: int
    failures: int
    phase: Phase
    at: int
    input: Any
    error: Error | None = None
    reason: str = ""
    was_called: bool = False
    awaits: Awaited | None = None
    items: Items | None = None

    @property
    def children(self) -> list[str]:
        """The ids of the runs whose ends it waits for."""
        if self.items is not None:
            return list(self.items.under_way)
        is_one = self.awaits is not None and self.awaits.kind == "child"
        return [self.awaits.key] if self.awaits is not None and is_one else []
