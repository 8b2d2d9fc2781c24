"""One decision in the making: what each thing that happens to a visit leads to.

A `Turn` collects events beside a run that it only reads. What the events change and later ones
need (the document, the tokens, the numbers of visits) is kept in the turn itself. Arrivals are
worked off from a list, never by recursion, so that a chain of any length fits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from beltline.core.backoff import backoff_ms
from beltline.core.canonical import hash_of, size_of
from beltline.core.child import Child
from beltline.core.events import (
    Because,
    Error,
    Event,
    RunCompleted,
    RunStopped,
    StepCompleted,
    StepFailed,
    StepParked,
    StepStarted,
)
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.graph import ready_join
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.output import output_of
from beltline.core.path import MISSING
from beltline.core.run import Run, may_have_been_called
from beltline.core.visit import Awaited, Visit, VisitKey


class Call(msgspec.Struct):
    """An attempt to be dispatched once its decision is durable. `deadline` is in Unix ms. Where it
    `is_repeat`, an earlier attempt of the visit may have reached the handler.
    """

    step: Step
    visit: int
    attempt: int
    input: Any
    deadline: int
    is_repeat: bool = False


class EngineStep(msgspec.Struct, frozen=True):
    """A step that the engine itself runs. `begin` says what follows from an attempt's start, given
    its resolved parameters; `due` what follows when the time that its visit waits for has come.
    """

    begin: Callable[[Turn, Step, int, int, Any], None]
    due: Callable[[Turn, Step, Visit], None] | None = None


class Turn:
    """The events and calls that follow from one input; `run` is read, never changed."""

    __slots__ = (
        "_arrivals",
        "_died",
        "_engine_steps",
        "_steps",
        "_visits",
        "answered",
        "at",
        "awaits",
        "calls",
        "children",
        "closed",
        "document",
        "ended",
        "events",
        "gathered",
        "inputs",
        "let_go",
        "opened",
        "run",
        "undoing",
    )

    def __init__(self, run: Run, at: int, engine_steps: Mapping[str, EngineStep]) -> None:
        self.run = run
        self.at = at
        self._engine_steps = engine_steps
        self.events: list[Event] = []
        self.calls: list[Call] = []
        self.children: list[Child] = []
        self.awaits: dict[VisitKey, Awaited | None] = {}  # what visits wait for; None: no more
        self.inputs: dict[VisitKey, Any] = {}
        self.document = run.document
        self.closed: set[VisitKey] = set()
        self.opened: dict[VisitKey, bool] = {}  # visits that start here -> still open
        self.ended = False
        self.answered = run.answer is not None  # whether a sender that waits has its answer
        self.undoing = None if run.undoing is None else run.undoing.copy()
        self.let_go: list[str] = []  # children of visits that are given up
        self._steps = run.process.steps
        self._arrivals: deque[str] = deque()
        self.gathered: dict[str, int] | None = None
        self._visits: dict[str, int] = {}
        self._died = ""

    def scope(self) -> Scope:
        """What clock and random functions derive from: this decision, at its next event."""
        return Scope(self.at, self.run.id, self.run.seq + len(self.events))

    # Visits that go on or end

    def complete(
        self,
        step: Step,
        visit: int,
        attempt: int,
        result: Any,
        size: int,
        to: tuple[str, ...] | None = None,
    ) -> None:
        """A visit gave its result: record it and send its token on, to `to` whatever its routes
        say.
        """
        known = self.run.open.get((step.id, visit))
        failures = 0 if known is None else known.failures
        if not self.take_slot(step, size):
            text = f"the document would pass document_bytes ({LIMITS.document_bytes})"
            self.fail(step, visit, attempt, failures, Error("limit", text), final=True)
            return
        before = self.document
        self.document = {**before, step.id: result}
        try:
            to, because = self.route(step) if to is None or self.undoing else (to, None)
        except ExpressionFailed as failed:
            self.document = before
            error = Error("expression", f"condition: {failed}")
            self.fail(step, visit, attempt, failures, error, final=True)
            return
        self.close((step.id, visit))
        self.events.append(StepCompleted(step.id, visit, attempt, result, size, to, because))
        self._arrivals.extend(to)

    def take_slot(self, step: Step, size: int) -> bool:
        """Whether the document can hold a result of `size` bytes in place of the step's last."""
        size_before = self.run.sizes.get(step.id, 0)
        return self.run.document_bytes - size_before + size <= LIMITS.document_bytes

    def route(self, step: Step) -> tuple[tuple[str, ...], Because | None]:
        """Where a completed step leads, and why. Raises `ExpressionFailed`."""
        if self.undoing is not None:  # routes are not followed
            self.undoing.left.pop(0)
            return (), None
        if step.routing is None:
            return step.next, None
        verdict = step.routing.evaluate(self.document, self.scope())
        to = step.next if verdict.to is None else verdict.to
        return to, Because(verdict.by, verdict.saw, verdict.notes)

    def fail(
        self,
        step: Step,
        visit: int,
        attempt: int,
        failures: int,
        error: Error,
        *,
        final: bool = False,
        after_ms: int | None = None,
        dead: bool = False,
    ) -> None:
        """An attempt failed; `failures` are those before it. `final` forbids a retry, `dead` also
        the way of `on_error`.
        """
        failures += 1
        error = _bounded(error)
        if not final and not dead and failures < step.retry.attempts:
            wait = backoff_ms(step.retry, failures, f"{self.run.id}/{step.id}/{visit}")
            retry_at = self.at + max(wait, min(after_ms or 0, LIMITS.retry_wait_ms))
            self.events.append(
                StepFailed(step.id, visit, attempt, failures, error, "retry", retry_at)
            )
            return
        entry = {"kind": error.kind, "message": error.message, "attempts": attempt}
        self.document = {**self.document, step.id: {"error": entry}}
        if step.on_error and not dead and self.undoing is None:
            self.close((step.id, visit))
            self.events.append(
                StepFailed(
                    step.id, visit, attempt, failures, error, "on-error", None, step.on_error
                )
            )
            self._arrivals.extend(step.on_error)
        else:
            self._awaits_no_more((step.id, visit))
            self.events.append(StepFailed(step.id, visit, attempt, failures, error, "dead-letter"))
            self._died = self._died or f"{step.id}: {error.message}"

    def dispatch_again(self, visit: Visit, reason: str) -> None:
        """A further attempt of a visit, with the parameters and the key of its first."""
        step = self._steps[visit.step]
        attempt = visit.attempt + 1
        is_repeat = may_have_been_called(visit)
        self._start_attempt(step, visit.number, attempt, visit.input, reason, is_repeat=is_repeat)

    def park(self, visit: Visit, until: int, reason: str, *, was_called: bool) -> None:
        """An attempt waits for its turn, or for the other side to come back. It is no failure."""
        until = max(until, self.at + 1)
        self.events.append(
            StepParked(visit.step, visit.number, visit.attempt, until, reason, was_called)
        )

    def close(self, key: VisitKey) -> None:
        """The visit's token leaves it."""
        if key in self.opened:
            self.opened[key] = False
        else:
            self.closed.add(key)
            self._awaits_no_more(key)

    def _awaits_no_more(self, key: VisitKey) -> None:
        known = self.run.open.get(key)
        if known is not None and known.awaits is not None and known.awaits.kind != "child":
            self.awaits[key] = None

    # Tokens that arrive

    def arrive(self, to: tuple[str, ...]) -> None:
        """Tokens are on their way to these steps."""
        self._arrivals.extend(to)

    def start(self, step: Step, given: dict[str, Any] | None = None) -> None:
        """A new visit of `step`, with the parameters that a person gave or with its own."""
        visit = self._visits.get(step.id)
        visit = 1 + (self.run.visits.get(step.id, 0) if visit is None else visit)
        self._visits[step.id] = visit
        key = (step.id, visit)
        self.opened[key] = True
        try:
            value = given
            if value is None:
                known = self.undoing.document(self.document) if self.undoing else self.document
                value = step.input.resolve(known, self.scope())
                if value is MISSING:
                    value = {}
        except ExpressionFailed as failed:
            self.inputs[key] = None
            self.events.append(StepStarted(step.id, visit, 1, step.implementation, "", ""))
            if visit > step.max_visits:
                self._run_away(step, visit, 1)
            else:
                error = Error("expression", f"with: {failed}")
                self.fail(step, visit, 1, 0, error, final=True, dead=self._is_too_long())
            return
        self.inputs[key] = value
        self._start_attempt(step, visit, 1, value, "", given)

    def _start_attempt(
        self,
        step: Step,
        visit: int,
        attempt: int,
        value: Any,
        reason: str,
        given: dict[str, Any] | None = None,
        *,
        is_repeat: bool = False,
    ) -> None:
        digest, trouble = hash_of(value)
        self.events.append(
            StepStarted(
                step.id, visit, attempt, step.implementation, step.transport, digest, reason, given
            )
        )
        if visit > step.max_visits:
            self._run_away(step, visit, attempt)
        elif trouble:
            error = Error("input", trouble)
            self.fail(step, visit, attempt, 0, error, final=True, dead=self._is_too_long())
        elif (own := self._engine_steps.get(step.implementation)) is None:
            deadline = self.at + step.timeout_ms
            self.calls.append(Call(step, visit, attempt, value, deadline, is_repeat))
        elif self._is_too_long():
            self._fail_as_too_long(step, visit, attempt)
        else:
            own.begin(self, step, visit, attempt, value)

    def _run_away(self, step: Step, visit: int, attempt: int) -> None:
        text = f"visited more than max_visits ({step.max_visits}) times; is this loop endless?"
        self.fail(step, visit, attempt, 0, Error("limit", text), dead=True)

    def _is_too_long(self) -> bool:
        """Whether steps that fail one into the other have filled this decision."""
        return len(self.events) > LIMITS.decision_events

    def _fail_as_too_long(self, step: Step, visit: int, attempt: int) -> None:
        text = "the steps before it filled one decision (limit decision_events,"
        text += f" {LIMITS.decision_events:,}); a wait between them makes it several"
        self.fail(step, visit, attempt, 0, Error("limit", text), dead=True)

    # What steps that the engine itself runs ask for

    def refuse(self, step: Step, visit: int, attempt: int, reason: str) -> None:
        """The parameters of such a step are no good, and would not be at another attempt."""
        error = Error("input", reason)
        self.fail(step, visit, attempt, 0, error, final=True, dead=self._is_too_long())

    def wait_for(self, step: Step, visit: int, awaited: Awaited) -> None:
        """Something from outside is to be brought to this visit, from the commit on."""
        self.awaits[step.id, visit] = awaited

    def finish(
        self,
        step: Step,
        visit: int,
        attempt: int,
        result: Any,
        to: tuple[str, ...] | None = None,
    ) -> None:
        """Such a step is done; `result` holds JSON values only."""
        self.complete(step, visit, attempt, result, size_of(result), to)

    def end(self, reason: str) -> None:
        """The whole run is completed, wherever else it stands."""
        self.events.append(
            RunCompleted(output_of(self.run.process, self.document, self.scope()), reason)
        )
        self.ended = True

    # The end of the turn

    def settle(self) -> None:
        """Starts what has arrived, fires joins, and ends the run when no token is left."""
        while not self.ended:
            if self._arrivals:
                target = self._arrivals.popleft()
                step = self._steps[target]
                if step.is_join:
                    self._gather(target)
                else:
                    self.start(step)
                continue
            gathered = self.run.gathered if self.gathered is None else self.gathered
            join = ready_join(self.run.process, gathered, self._standing()) if gathered else None
            if join is None:
                break
            self.gathered = {id: n for id, n in gathered.items() if id != join}
            self.start(self._steps[join])
        if self.ended:
            self.awaits = {}
            for key in self.run.open:
                self._awaits_no_more(key)
            return
        if self.run.ended:
            return
        if self._died:
            if not self._was_stopped():
                self.events.append(RunStopped(self._died))
        elif self.undoing is None and self.events and not self.calls and not self.has_tokens():
            self.end("")

    def _gather(self, join: str) -> None:
        if self.gathered is None:
            self.gathered = dict(self.run.gathered)
        self.gathered[join] = self.gathered.get(join, 0) + 1

    def _standing(self) -> list[str]:
        standing = [key[0] for key in self.run.open if key not in self.closed]
        standing.extend(key[0] for key, is_open in self.opened.items() if is_open)
        return standing

    def has_tokens(self) -> bool:
        """Whether the run stands anywhere."""
        gathered = self.run.gathered if self.gathered is None else self.gathered
        if gathered or len(self.run.open) > len(self.closed):
            return True
        return True in self.opened.values()

    def _was_stopped(self) -> bool:
        """Whether a dead letter from before this turn still stands."""
        retried = {(e.step, e.visit) for e in self.events if type(e) is StepStarted}
        return any(
            visit.phase == "dead" and key not in self.closed and key not in retried
            for key, visit in self.run.open.items()
        )


def _bounded(error: Error) -> Error:
    message = error.message
    if len(message) > LIMITS.error_message_bytes:
        return Error(error.kind, message[: LIMITS.error_message_bytes] + "…")
    return error
