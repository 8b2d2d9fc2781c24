"""`for-each`: a run of another process for each item of a list, so many at once.

    begin ──> a child for each of the first items ──> one has ended: its result is kept, the next
                                                      item has its child
                                                  └─> the last has ended: {results: [...]}, in the
                                                      order of the items, and on by the routes

An item fails where its child was cancelled or cannot be started. Then no further item begins; once
those under way have ended, the visit fails. A further attempt goes on with what is not done.
"""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import size_of
from beltline.core.child import Child, Parent, child_id
from beltline.core.engine_steps.call import depth_below
from beltline.core.events import ChildStarted, ChildStopped, Error, ItemCompleted, ItemFailed
from beltline.core.inputs import ChildBegun, ChildEnded, ChildHalted
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.turn import Turn
from beltline.core.visit import Items, Visit

AT_ONCE = 10


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The first items are to begin; those that an attempt before has done stay done."""
    wrong = trouble(value)
    if wrong:
        turn.refuse(step, visit, attempt, wrong)
        return
    if depth_below(turn.run) > LIMITS.call_depth:
        text = f"{LIMITS.call_depth} runs have called each other (limit call_depth)"
        turn.fail(step, visit, attempt, 0, Error("limit", text), final=True)
        return
    known = turn.run.open.get((step.id, visit))
    done = {} if known is None or known.items is None else known.items.results
    missing = [item for item in range(len(value["items"])) if item not in done]
    if not missing:
        turn.finish(step, visit, attempt, _result(value, done))
    for item in missing[: value.get("concurrency", AT_ONCE)]:
        _start(turn, step, visit, attempt, value, item)


def begun(turn: Turn, step: Step, visit: Visit, input: ChildBegun) -> None:
    """The child of an item cannot be started."""
    _failed(turn, step, visit, input.run, Error("process", input.why_not))


def ended(turn: Turn, step: Step, visit: Visit, input: ChildEnded) -> None:
    """The child of an item has ended."""
    items = visit.items
    assert items is not None
    if input.status == "cancelled":
        text = f"the run {input.run} was cancelled: {input.reason}"
        _failed(turn, step, visit, input.run, Error("child", text))
        return
    size = size_of(input.result)
    if not turn.take_slot(step, items.size + size):
        text = f"the document would pass document_bytes ({LIMITS.document_bytes})"
        _failed(turn, step, visit, input.run, Error("limit", text))
        return
    item = items.under_way[input.run]
    turn.events.append(ItemCompleted(step.id, visit.number, item, input.run, input.result, size))
    _go_on(turn, step, visit, items, {**items.results, item: input.result}, items.failed, item)


def halted(turn: Turn, step: Step, visit: Visit, input: ChildHalted) -> None:
    """The child of an item has a dead letter."""
    turn.events.append(ChildStopped(step.id, visit.number, input.run, input.reason))


def _failed(turn: Turn, step: Step, visit: Visit, run: str, error: Error) -> None:
    items = visit.items
    assert items is not None
    item = items.under_way[run]
    turn.events.append(ItemFailed(step.id, visit.number, item, run, error))
    _go_on(turn, step, visit, items, items.results, {**items.failed, item: error}, item)


def _go_on(
    turn: Turn,
    step: Step,
    visit: Visit,
    items: Items,
    results: dict[int, Any],
    failed: dict[int, Error],
    ended: int,
) -> None:
    """The next item begins, or the visit ends; what `ended` is in `results` or in `failed`."""
    value, total = visit.input, len(visit.input["items"])
    under_way = set(items.under_way.values()) - {ended}
    if not failed:
        left = (n for n in range(total) if n not in results and n not in under_way)
        following = next(left, None)
        if following is not None:
            _start(turn, step, visit.number, visit.attempt, value, following)
            return
    if under_way:
        return
    if not failed:
        turn.finish(step, visit.number, visit.attempt, _result(value, results))
        return
    item = min(failed)
    text = f"item {item}: {failed[item].message}; {len(results)} of {total} items are done"
    error = Error(failed[item].kind, text)
    turn.fail(step, visit.number, visit.attempt, visit.failures, error, final=True)


def _start(turn: Turn, step: Step, visit: int, attempt: int, value: Any, item: int) -> None:
    run = turn.run
    id = child_id(run.id, step.id, visit, attempt, turn.at, item)
    parent = Parent(run.id, step.id, visit, True, depth_below(run), item)
    one = value["items"][item]
    turn.children.append(Child(id, value["process"], value.get("request", one), parent, one))
    turn.events.append(ChildStarted(step.id, visit, id, value["process"], True, item))


def _result(value: Any, results: dict[int, Any]) -> dict[str, Any]:
    return {"results": [results[item] for item in range(len(value["items"]))]}


def trouble(value: Any) -> str:
    """Why these parameters start nothing; empty where they do."""
    if not isinstance(value, dict):
        return "for-each takes `process` and `items`"
    process, items, at_once = value.get("process"), value.get("items"), value.get("concurrency", 1)
    if not isinstance(process, str) or not process:
        return "for-each needs `process`, a name"
    if not isinstance(items, list):
        return "for-each needs `items`, a list"
    if len(items) > LIMITS.for_each_items:
        return f"there are {len(items):,} items (limit for_each_items, {LIMITS.for_each_items:,})"
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        return "`concurrency` is a whole number from 1"
    if at_once > LIMITS.for_each_children:
        most = LIMITS.for_each_children
        return f"`concurrency` is at most {most} (limit for_each_children)"
    return ""
