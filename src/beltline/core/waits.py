"""What a visit waits for beside the time, as the events of its journal say: an outside event, a
person, runs that it started. `run.apply` has these change the visit, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from beltline.core.events import (
    ApprovalAwaited,
    ChildStarted,
    ChildStopped,
    EventAwaited,
    ItemCompleted,
    ItemFailed,
)
from beltline.core.visit import Awaited, Items, Visit


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
    items = _end_of_item(visit, event)
    items.results[event.item] = event.result
    items.size += event.size


def _item_failed(visit: Visit, event: ItemFailed) -> None:
    _end_of_item(visit, event).failed[event.item] = event.error


def _end_of_item(visit: Visit, event: ItemCompleted | ItemFailed) -> Items:
    items = visit.items
    assert items is not None
    del items.under_way[event.run]
    items.halted.pop(event.run, None)
    return items


WAITS: dict[type, Callable[[Visit, Any], None]] = {
    EventAwaited: _event_awaited,
    ApprovalAwaited: _approval_awaited,
    ChildStarted: _child_started,
    ChildStopped: _child_stopped,
    ItemCompleted: _item_completed,
    ItemFailed: _item_failed,
}
