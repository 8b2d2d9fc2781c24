"""The supervisor: given a run, what happened, and the time, what follows.

`decide` is a pure function. It reads the run and gives a `Decision`: the events that become the
next journal row, and the calls that may leave the hub once that row is durable. It never changes
the run; `advance` does, through `run.apply`, the one writer.

    input ──> decide ──> Decision(events, calls) ──> commit ──> dispatch the calls
                              │
                              └──> advance: the run as its journal now tells it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from beltline.core import undo
from beltline.core.child import Child
from beltline.core.commands import carry_out
from beltline.core.engine_steps import ENGINE_STEPS, call, for_each, wait_event
from beltline.core.events import Error, Event, EventLate, RunStarted, StepDeferred
from beltline.core.inputs import (
    EXPIRED,
    Answer,
    Answered,
    AttemptFailed,
    Cancel,
    ChildBegun,
    ChildEnded,
    ChildHalted,
    Deferred,
    EventArrived,
    GoTo,
    Input,
    Message,
    Parked,
    Recovered,
    Resolve,
    Retry,
    SetAside,
    Skip,
    Start,
    TimePassed,
)
from beltline.core.model import Step
from beltline.core.run import Run, apply
from beltline.core.turn import Call, Turn
from beltline.core.visit import Awaited, Visit, VisitKey


class Decision(msgspec.Struct):
    """What follows. Without events the input came too late, or nothing is due.

    `awaits` is what visits wait for from outside from now on, None where they do no more; it is to
    be kept in the commit that records the events. `children` are runs that start in it, `messages`
    go to the inboxes of other runs, by their ids. `inputs` are the parameters of the visits that
    start, for `advance`.
    """

    at: int
    events: list[Event]
    calls: list[Call]
    awaits: dict[VisitKey, Awaited | None]
    children: list[Child]
    messages: list[tuple[str, Message]]
    inputs: dict[VisitKey, Any]


def decide(run: Run, input: Input, now: int) -> Decision:
    """What follows from `input` at `now` (Unix milliseconds). Deterministic; changes nothing."""
    turn = Turn(run, now, ENGINE_STEPS)
    _RULES[type(input)](turn, input)
    turn.settle()
    if turn.undoing is not None and not run.ended:
        undo.go_on(turn, turn.undoing)
    calls = [] if turn.ended else turn.calls
    children = [] if turn.ended else turn.children
    messages: list[tuple[str, Message]] = []
    if run.parent is not None or turn.let_go or (turn.ended and run.open):
        messages = call.messages(turn)
    return Decision(now, turn.events, calls, turn.awaits, children, messages, turn.inputs)


def advance(run: Run, decision: Decision) -> None:
    """Makes a decision part of its run."""
    apply(run, decision.events, decision.at, decision.inputs)


def _start(turn: Turn, input: Start) -> None:
    process = turn.run.process
    if turn.run.started:
        return
    turn.events.append(RunStarted(process.name, process.version, process.start))
    turn.arrive(process.start)


def awaited(run: Run, input: Answer | Deferred | Parked) -> Visit | None:
    """The open visit that this answer belongs to; None fences off what came too late."""
    found = run.open.get((input.step, input.visit))
    if found is None or found.attempt != input.attempt:
        return None
    return found if found.phase in ("dispatched", "deferred") else None


def _answered(turn: Turn, input: Answered) -> None:
    if awaited(turn.run, input) is not None:
        step = turn.run.process.steps[input.step]
        turn.complete(step, input.visit, input.attempt, input.result, input.size)


def _attempt_failed(turn: Turn, input: AttemptFailed) -> None:
    visit = awaited(turn.run, input)
    if visit is not None:
        turn.fail(
            turn.run.process.steps[input.step],
            input.visit,
            input.attempt,
            visit.failures,
            input.error,
            final=input.final,
            after_ms=input.after_ms,
        )


def _deferred(turn: Turn, input: Deferred) -> None:
    visit = awaited(turn.run, input)
    if visit is not None and visit.phase == "dispatched":
        turn.events.append(StepDeferred(input.step, input.visit, input.attempt, visit.at))


def _parked(turn: Turn, input: Parked) -> None:
    visit = awaited(turn.run, input)
    if visit is not None and visit.phase == "dispatched":
        turn.park(visit, input.until, input.reason, was_called=input.was_called)


def _time_passed(turn: Turn, input: TimePassed) -> None:
    for visit in turn.run.open.values():
        if not visit.at or visit.at > turn.at:
            continue
        step = turn.run.process.steps[visit.step]
        if visit.phase in ("dispatched", "deferred"):
            text = f"no answer within {step.timeout_ms / 1000:g} s"
            turn.fail(step, visit.number, visit.attempt, visit.failures, Error("timeout", text))
        elif visit.phase == "backoff":
            turn.dispatch_again(visit, "retry")
        elif visit.phase == "parked":
            turn.dispatch_again(visit, "parked")
        elif (due := ENGINE_STEPS[step.implementation].due) is not None:
            due(turn, step, visit)


def _recovered(turn: Turn, input: Recovered) -> None:
    for key, visit in turn.run.open.items():
        is_due = visit.phase == "dispatched" or (visit.phase == "parked" and input.wakes)
        if is_due and key not in input.answered:
            turn.dispatch_again(visit, "recovered")


def _set_aside(turn: Turn, input: SetAside) -> None:
    phases = {"dispatched", "parked"} | ({"waiting"} if input.kind == EXPIRED else set())
    for visit in turn.run.open.values():
        if visit.phase in phases:
            step = turn.run.process.steps[visit.step]
            turn.fail(
                step,
                visit.number,
                visit.attempt,
                visit.failures,
                Error(input.kind, input.reason),
                dead=True,
            )


def _event_arrived(turn: Turn, input: EventArrived) -> None:
    waiting = [
        visit
        for visit in turn.run.open.values()
        if visit.awaits is not None
        and (visit.awaits.kind, visit.awaits.name, visit.awaits.key)
        == ("event", input.name, input.key)
    ]
    for visit in waiting:
        wait_event.arrived(turn, turn.run.process.steps[visit.step], visit, input)
    if not waiting:
        turn.events.append(EventLate(input.name, input.key, input.id))


def _of_child(turn: Turn, input: ChildBegun | ChildEnded | ChildHalted) -> None:
    visit = turn.run.open.get((input.step, input.visit))
    if visit is None or input.run not in visit.children:
        return  # it waits for that one no more
    rules = _OF_CALL if visit.items is None else _OF_ITEM
    rules[type(input)](turn, turn.run.process.steps[visit.step], visit, input)


_OF_CALL: dict[type, Callable[[Turn, Step, Visit, Any], None]] = {
    ChildBegun: call.begun,
    ChildEnded: call.ended,
    ChildHalted: call.halted,
}
_OF_ITEM: dict[type, Callable[[Turn, Step, Visit, Any], None]] = {
    ChildBegun: for_each.begun,
    ChildEnded: for_each.ended,
    ChildHalted: for_each.halted,
}

_RULES: dict[type, Callable[[Turn, Any], None]] = {
    Start: _start,
    Answered: _answered,
    AttemptFailed: _attempt_failed,
    Deferred: _deferred,
    TimePassed: _time_passed,
    Recovered: _recovered,
    SetAside: _set_aside,
    ChildBegun: _of_child,
    ChildEnded: _of_child,
    ChildHalted: _of_child,
    EventArrived: _event_arrived,
    Retry: carry_out,
    Skip: carry_out,
    GoTo: carry_out,
    Cancel: carry_out,
    Parked: _parked,
    Resolve: carry_out,
}
