"""`call`: a run of another process, which this one waits for, or lets go its own way.

    child-started ──> the child is in this commit ──> waits: false: on by the routes
                  │                               └─> its end ──> its result, on by the routes
                  └─> there is no such process, or the child was cancelled: the visit fails

A child that stops leaves its parent waiting, which says so. A parent that ends cancels its child.
"""

from __future__ import annotations

from typing import Any

from beltline.core.child import Child, Parent, child_id
from beltline.core.events import (
    ChildStarted,
    ChildStopped,
    Error,
    RunCancelled,
    RunCompleted,
    RunStopped,
    StepCompleted,
    StepSkipped,
)
from beltline.core.inputs import Cancel, ChildBegun, ChildEnded, ChildHalted, Message
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.run import Run
from beltline.core.turn import Turn
from beltline.core.visit import Visit


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The child is to be started."""
    process = value.get("process") if isinstance(value, dict) else None
    waits = value.get("wait", True) if isinstance(value, dict) else True
    if not isinstance(process, str) or not process or not isinstance(waits, bool):
        turn.refuse(step, visit, attempt, "call needs `process`, a name; `wait` is true or false")
        return
    run = turn.run
    depth = depth_below(run)
    if depth > LIMITS.call_depth:
        text = f"{LIMITS.call_depth} runs have called each other (limit call_depth)"
        turn.fail(step, visit, attempt, 0, Error("limit", text), final=True)
        return
    id = child_id(run.id, step.id, visit, attempt, turn.at)
    parent = Parent(run.id, step.id, visit, waits, depth)
    turn.children.append(Child(id, process, value.get("request"), parent))
    turn.events.append(ChildStarted(step.id, visit, id, process, waits))


def depth_below(run: Run) -> int:
    """How many runs stand above a child of this one."""
    return 1 if run.parent is None else run.parent.depth + 1


def begun(turn: Turn, step: Step, visit: Visit, input: ChildBegun) -> None:
    """The child is part of the commit, or cannot be."""
    if input.why_not:
        error = Error("process", input.why_not)
        turn.fail(step, visit.number, visit.attempt, visit.failures, error, final=True)
    else:
        turn.finish(step, visit.number, visit.attempt, {"run": input.run})


def ended(turn: Turn, step: Step, visit: Visit, input: ChildEnded) -> None:
    """The child has ended."""
    if input.status == "cancelled":
        error = Error("child", f"the run {input.run} was cancelled: {input.reason}")
        turn.fail(step, visit.number, visit.attempt, visit.failures, error, final=True)
    else:
        turn.finish(step, visit.number, visit.attempt, input.result)


def halted(turn: Turn, step: Step, visit: Visit, input: ChildHalted) -> None:
    """The child has a dead letter."""
    turn.events.append(ChildStopped(step.id, visit.number, input.run, input.reason))


def messages(turn: Turn) -> list[tuple[str, Message]]:
    """What a decision tells other runs, by their ids: its parent of its end, its children that they
    are to end too.
    """
    told: list[tuple[str, Message]] = []
    run = turn.run
    parent = run.parent
    if parent is not None and parent.waits:
        place = (parent.step, parent.visit, run.id)
        for event in turn.events:
            if isinstance(event, RunCompleted):
                told.append((parent.run, ChildEnded(*place, "completed", _result(turn, event))))
            elif isinstance(event, RunCancelled):
                ended = ChildEnded(*place, "cancelled", None, event.reason)
                told.append((parent.run, ended))
            elif isinstance(event, RunStopped):
                told.append((parent.run, ChildHalted(*place, event.reason)))
    told += [(id, Cancel(f"its parent {run.id} is undone", undo=True)) for id in turn.let_go]
    if turn.ended:
        told += [
            (child, Cancel(f"its parent {run.id} has ended"))
            for place, visit in run.open.items()
            if place not in turn.closed
            for child in visit.children
        ]
    return told


def _result(turn: Turn, ended: RunCompleted) -> Any:
    """What the run has come to, as `Run.last_result` will have it."""
    if turn.run.process.output is not None:
        return ended.result
    for event in reversed(turn.events):
        if isinstance(event, StepCompleted | StepSkipped):
            return event.result
    return turn.run.last_result
