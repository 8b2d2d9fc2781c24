"""One open activation of a step, and what it waits for.

`TO_VISIT` is the part of `run.apply` that changes a visit alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from beltline.core.events import (
    ApprovalAwaited,
    ChildStarted,
    ChildStopped,
    Error,
    EventAwaited,
    ItemCompleted,
    ItemFailed,
    StepDeferred,
    StepWaiting,
)

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


class Done(msgspec.Struct, frozen=True):
    """A completed visit of a step that can be undone, and its result."""

    step: str
    visit: int
    result: Any


class Undoing(msgspec.Struct):
    """How a run stands that is being undone: what is `left`, the next one first."""

    reason: str
    left: list[Done]

    def copy(self) -> Undoing:
        """The same, to be changed."""
        return Undoing(self.reason, self.left[:])

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """What the next one to undo sees: the result of that very visit stands at its step."""
        return document | {done.step: done.result for done in self.left[:1]}


def _waiting(visit: Visit, event: StepWaiting) -> None:
    visit.phase = "waiting"
    visit.at = event.until


def _deferred(visit: Visit, event: StepDeferred) -> None:
    visit.phase = "deferred"
    visit.at = event.until


def _event_awaited(visit: Visit, event: EventAwaited) -> None:
    visit.phase = "waiting"
    visit.at = event.until or 0
    visit.awaits = Awaited("event", event.name, event.key)


def _approval_awaited(visit: Visit, event: ApprovalAwaited) -> None:
    visit.phase = "waiting"
    visit.at = event.until or 0
    visit.awaits = Awaited("approval", event.title, "")


def _child_started(visit: Visit, event: ChildStarted) -> None:
    visit.phase = "waiting"
    visit.at = 0
    if event.item is None:
        visit.awaits = Awaited("child", event.process, event.run)
        return
    if visit.items is None:
        visit.items = Items()
    visit.items.under_way[event.run] = event.item


def _child_stopped(visit: Visit, event: ChildStopped) -> None:
    if visit.items is not None:
        visit.items.halted[event.run] = event.reason
        return
    assert visit.awaits is not None
    visit.awaits = msgspec.structs.replace(visit.awaits, note=event.reason)


def _item_completed(visit: Visit, event: ItemCompleted) -> None:
    items = _end_of_item(visit, event.run)
    items.results[event.item] = event.result
    items.size += event.size


def _item_failed(visit: Visit, event: ItemFailed) -> None:
    _end_of_item(visit, event.run).failed[event.item] = event.error


def _end_of_item(visit: Visit, run: str) -> Items:
    items = visit.items
    assert items is not None
    del items.under_way[run]
    items.halted.pop(run, None)
    return items


TO_VISIT: Final[dict[type, Callable[[Visit, Any], None]]] = {
    StepWaiting: _waiting,
    StepDeferred: _deferred,
    EventAwaited: _event_awaited,
    ApprovalAwaited: _approval_awaited,
    ChildStarted: _child_started,
    ChildStopped: _child_stopped,
    ItemCompleted: _item_completed,
    ItemFailed: _item_failed,
}
