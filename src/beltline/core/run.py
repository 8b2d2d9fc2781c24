"""The state of a run, and `apply`: the only code that changes it.

A run's state is the fold of its journal. `decide` reads it and says which events follow; `apply`
makes them so, now and at every later load. What people see of a run (its status, why it does not
move, when it is looked at next) is read from the same state.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.core.child import Parent
from beltline.core.events import (
    AnswerGiven,
    AnswerIgnored,
    CommandRefused,
    Entry,
    Event,
    EventLate,
    RunCancelled,
    RunCompleted,
    RunStarted,
    RunStopped,
    StepCompleted,
    StepFailed,
    StepLeft,
    StepParked,
    StepSkipped,
    StepStarted,
    UndoStarted,
)
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.model import Process, Step
from beltline.core.visit import TO_VISIT, Done, Undoing, Visit, VisitKey

RETRIED_BY_PERSON = "retried by a person"

Status = Literal["cancelled", "stopped", "moving", "parked", "waiting", "completed"]


class Run(msgspec.Struct):
    """One request going through one version of one process.

    `key` is the id as the store keeps it (16 bytes). `seq` is the number of the next event.
    `open` holds the visits that have a token, `gathered` the tokens waiting at joins, `visits` how
    often each step was activated, `sizes` what each step's entry takes as JSON, and
    `document_bytes` the sum of those and of the request. `last_result` is what the run has come to
    so far: the last completed step's result, and in the end the process's output where it has one.
    `answer` is the sender's, once a step has given it; `parent` is where it was started, unless by
    a source. `done` are the completed visits that can be undone, in order; `undoing` is how that
    stands, once it is asked for.
    """

    id: str
    key: bytes
    process: Process
    document: dict[str, Any]
    seq: int = 0
    open: dict[VisitKey, Visit] = {}
    gathered: dict[str, int] = {}
    visits: dict[str, int] = {}
    started: bool = False
    ended: Literal["", "completed", "cancelled"] = ""
    stopped: bool = False
    last_result: Any = None
    sizes: dict[str, int] = {}
    document_bytes: int = 0
    answer: AnswerGiven | None = None
    parent: Parent | None = None
    done: list[Done] = []
    undoing: Undoing | None = None

    @property
    def is_moving(self) -> bool:
        """Whether an answer is outstanding, so that the run belongs into memory. One that is to
        come later, by a message, does not keep it there.
        """
        # A plain loop: this is asked after every decision, and a generator costs twice as much.
        for visit in self.open.values():  # noqa: SIM110
            if visit.phase == "dispatched":
                return True
        return False

    @property
    def status(self) -> Status:
        """What people are told; the first that holds."""
        if self.ended:
            return self.ended
        if self.stopped:
            return "stopped"
        if self.is_moving or not self.started:
            return "moving"
        return "parked" if self.is_parked else "waiting"

    @property
    def is_parked(self) -> bool:
        """Whether a step waits for a limit or an outage."""
        return any(visit.phase == "parked" for visit in self.open.values())

    @property
    def next_at(self) -> int | None:
        """The earliest time at which something is due by itself, in Unix milliseconds."""
        earliest: int | None = None
        for visit in self.open.values():
            # A wait without a bound has no time.
            if visit.at and (earliest is None or visit.at < earliest):
                earliest = visit.at
        return earliest

    @property
    def dead(self) -> list[Visit]:
        """The dead letters, in the order of their visits."""
        return [visit for visit in self.open.values() if visit.phase == "dead"]


def new_run(
    id: str, key: bytes, process: Process, request: Any, meta: dict[str, Any], size: int
) -> Run:
    """A run that has not started: its document holds the request (`size` bytes) and no more."""
    run = Run(id, key, process, {"request": request, "meta": meta}, document_bytes=size)
    if "parent" in meta:
        run.parent = msgspec.convert(meta["parent"], Parent)
        where = {"run": run.parent.run, "step": run.parent.step, "visit": run.parent.visit}
        run.document["parent"] = where
        if run.parent.item is not None:
            where["item"] = run.parent.item
            run.document["item"] = meta.get("item", request)
    return run


def apply(run: Run, events: list[Event], at: int, inputs: dict[VisitKey, Any] | None) -> None:
    """Makes `events`, decided at `at`, part of the run. `inputs` are the resolved parameters of
    the visits that start in them; None resolves them again, as a load from the journal does.
    """
    for event in events:
        run.seq += 1
        _APPLY[type(event)](run, event, at, inputs)


def replay(run: Run, entries: list[Entry]) -> None:
    """Brings a new run to the state that its journal tells."""
    for entry in entries:
        apply(run, entry.events, entry.at, None)


def resolve_input(run: Run, step: Step, document: dict[str, Any], at: int, seq: int) -> Any:
    """A visit's parameters, from the document as it was when the visit started.

    `seq` is the number of the visit's first `step-started` event: with `at` and the run's id it
    makes the clock and random functions of expressions give the same values at every replay.
    Raises `ExpressionFailed`.
    """
    return step.input.resolve(document, Scope(at, run.id, seq))


def may_have_been_called(visit: Visit) -> bool:
    """Whether the attempts of a visit until now may have reached a handler: all but those that were
    parked before anything was sent.
    """
    return visit.was_called or visit.phase != "parked"


def _run_started(run: Run, event: RunStarted, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    run.started = True
    _place(run, event.to)


def _step_started(
    run: Run, event: StepStarted, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    key = (event.step, event.visit)
    step = run.process.steps[event.step]
    visit = run.open.get(key)
    if visit is not None:
        visit.was_called = may_have_been_called(visit)
        visit.attempt = event.attempt
        visit.phase = "dispatched"
        visit.at = at + step.timeout_ms
        visit.error = None
        visit.reason = ""
        if visit.items is not None:
            visit.items.failed.clear()
        if event.reason == RETRIED_BY_PERSON:
            visit.failures = 0
            run.stopped = any(other.phase == "dead" for other in run.open.values())
        return
    run.visits[event.step] = event.visit
    if step.is_join:
        run.gathered.pop(event.step, None)
    if inputs is not None:
        value = inputs.get(key)
    elif event.given is not None:
        value = event.given
    else:
        document = run.document if run.undoing is None else run.undoing.document(run.document)
        try:
            value = resolve_input(run, step, document, at, run.seq - 1)
        except ExpressionFailed:
            value = None  # the event that follows says so
    run.open[key] = Visit(
        event.step, event.visit, event.attempt, 0, "dispatched", at + step.timeout_ms, value
    )


def _of_visit(run: Run, event: Any, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    TO_VISIT[type(event)](run.open[(event.step, event.visit)], event)


def _step_completed(
    run: Run, event: StepCompleted, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    del run.open[(event.step, event.visit)]
    _record(run, event.step, event.result, event.size)
    if run.undoing is not None:
        run.undoing.left.pop(0)
    elif run.process.steps[event.step].undo:
        run.done.append(Done(event.step, event.visit, event.result))
    _place(run, event.to)


def _step_failed(run: Run, event: StepFailed, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    key = (event.step, event.visit)
    visit = run.open[key]
    visit.failures = event.failures
    visit.error = event.error
    visit.awaits = None
    if event.then == "retry":
        visit.phase = "backoff"
        visit.at = event.retry_at or at
        return
    run.document[event.step] = {
        "error": {
            "kind": event.error.kind,
            "message": event.error.message,
            "attempts": event.attempt,
        }
    }
    if event.then == "dead-letter":
        visit.phase = "dead"
        visit.at = 0
    else:
        del run.open[key]
        _place(run, event.to)


def _step_parked(run: Run, event: StepParked, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    visit = run.open[(event.step, event.visit)]
    visit.phase = "parked"
    visit.at = event.until
    visit.reason = event.reason
    visit.was_called = visit.was_called or event.was_called


def _step_skipped(
    run: Run, event: StepSkipped, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    del run.open[(event.step, event.visit)]
    _record(run, event.step, event.result, event.size)
    if run.undoing is not None:
        run.undoing.left.pop(0)
    run.stopped = any(visit.phase == "dead" for visit in run.open.values())
    _place(run, event.to)


def _step_left(run: Run, event: StepLeft, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    del run.open[(event.step, event.visit)]
    run.stopped = any(visit.phase == "dead" for visit in run.open.values())
    _place(run, event.to)


def _undo_started(
    run: Run, event: UndoStarted, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    run.undoing = Undoing(event.reason, run.done[::-1])
    run.stopped = False
    run.open.clear()
    run.gathered.clear()


def _run_stopped(run: Run, event: RunStopped, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    run.stopped = True


def _run_completed(
    run: Run, event: RunCompleted, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    run.ended = "completed"
    run.open.clear()
    run.gathered.clear()
    if run.process.output is not None:
        run.last_result = event.result


def _run_cancelled(
    run: Run, event: RunCancelled, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    run.ended = "cancelled"
    run.stopped = False
    run.open.clear()
    run.gathered.clear()


def _answer_given(
    run: Run, event: AnswerGiven, at: int, inputs: dict[VisitKey, Any] | None
) -> None:
    run.answer = event


def _noted(run: Run, event: Event, at: int, inputs: dict[VisitKey, Any] | None) -> None:
    """Only for people to read."""


def _record(run: Run, step: str, result: Any, size: int) -> None:
    """The last result of a step stands in the document."""
    run.document[step] = run.last_result = result
    run.document_bytes += size - run.sizes.get(step, 0)
    run.sizes[step] = size


def _place(run: Run, to: tuple[str, ...]) -> None:
    """Tokens arrive: at a join they gather; elsewhere the start that follows takes them up."""
    steps = run.process.steps
    for target in to:
        if steps[target].is_join:
            run.gathered[target] = run.gathered.get(target, 0) + 1


_APPLY: dict[type, Any] = {
    **dict.fromkeys(TO_VISIT, _of_visit),
    RunStarted: _run_started,
    StepStarted: _step_started,
    StepCompleted: _step_completed,
    StepFailed: _step_failed,
    StepSkipped: _step_skipped,
    StepLeft: _step_left,
    CommandRefused: _noted,
    UndoStarted: _undo_started,
    RunStopped: _run_stopped,
    RunCompleted: _run_completed,
    RunCancelled: _run_cancelled,
    StepParked: _step_parked,
    AnswerGiven: _answer_given,
    AnswerIgnored: _noted,
    EventLate: _noted,
}
