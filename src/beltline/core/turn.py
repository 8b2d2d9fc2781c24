"""One decision in the making: what each thing that happens to a visit leads to.

A `Turn` collects events beside a run that it only reads. What the events change and later ones
need (the document, the tokens, the numbers of visits) is kept in the turn itself. Arrivals are
worked off from a list, never by recursion, so that a chain of any length fits.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Any
from zlib import crc32

import msgspec

from beltline.core.duration import DurationError, parse_duration_ms, parse_moment_ms
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
    StepWaiting,
)
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.graph import ready_join
from beltline.core.limits import LIMITS
from beltline.core.model import RetryPolicy, Step
from beltline.core.path import MISSING
from beltline.core.run import Run, Visit, VisitKey, may_have_been_called

WAIT = "wait@1"
STOP = "stop@1"

_canonical = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder().encode


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


class Turn:
    """The events and calls that follow from one input; `run` is read, never changed."""

    __slots__ = (
        "_arrivals",
        "_died",
        "_gathered",
        "_steps",
        "_visits",
        "at",
        "calls",
        "closed",
        "document",
        "ended",
        "events",
        "inputs",
        "opened",
        "run",
    )

    def __init__(self, run: Run, at: int) -> None:
        self.run = run
        self.at = at
        self.events: list[Event] = []
        self.calls: list[Call] = []
        self.inputs: dict[VisitKey, Any] = {}
        self.document = run.document
        self.closed: set[VisitKey] = set()
        self.opened: dict[VisitKey, bool] = {}  # visits that start here -> still open
        self.ended = False
        self._steps = run.process.steps
        self._arrivals: deque[str] = deque()
        self._gathered: dict[str, int] | None = None
        self._visits: dict[str, int] = {}
        self._died = ""

    def scope(self) -> Scope:
        """What clock and random functions derive from: this decision, at its next event."""
        return Scope(self.at, self.run.id, self.run.seq + len(self.events))

    # Visits that go on or end

    def complete(self, step: Step, visit: int, attempt: int, result: Any, size: int) -> None:
        """A visit gave its result: record it and send its token on."""
        failures = self.run.open[step.id, visit].failures
        if not self.take_slot(step, size):
            text = f"the document would pass document_bytes ({LIMITS.document_bytes})"
            self.fail(step, visit, attempt, failures, Error("limit", text), final=True)
            return
        before = self.document
        self.document = {**before, step.id: result}
        try:
            to, because = self.route(step)
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
        if step.on_error and not dead:
            self.close((step.id, visit))
            self.events.append(
                StepFailed(
                    step.id, visit, attempt, failures, error, "on-error", None, step.on_error
                )
            )
            self._arrivals.extend(step.on_error)
        else:
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
                value = step.input.resolve(self.document, self.scope())
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
        elif step.implementation == WAIT:
            self._wait(step, visit, attempt, value)
        elif step.implementation == STOP:
            self._stop(step, visit, attempt, value)
        else:
            deadline = self.at + step.timeout_ms
            self.calls.append(Call(step, visit, attempt, value, deadline, is_repeat))

    def _run_away(self, step: Step, visit: int, attempt: int) -> None:
        text = f"visited more than max_visits ({step.max_visits}) times; is this loop endless?"
        self.fail(step, visit, attempt, 0, Error("limit", text), dead=True)

    def _is_too_long(self) -> bool:
        """Whether steps that fail one into the other have filled this decision."""
        return len(self.events) > LIMITS.decision_events

    # Steps that the engine itself runs

    def _wait(self, step: Step, visit: int, attempt: int, value: Any) -> None:
        try:
            until = wait_until(value, self.at)
        except DurationError as wrong:
            error = Error("input", str(wrong))
            self.fail(step, visit, attempt, 0, error, final=True, dead=self._is_too_long())
            return
        self.events.append(StepWaiting(step.id, visit, until))

    def _stop(self, step: Step, visit: int, attempt: int, value: Any) -> None:
        reason = str(value.get("reason", "")) if isinstance(value, dict) else ""
        result = {"reason": reason}
        size = len(_encode(result))
        self.close((step.id, visit))
        self.events.append(StepCompleted(step.id, visit, attempt, result, size, ()))
        self.events.append(RunCompleted(None, reason))
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
            gathered = self.run.gathered if self._gathered is None else self._gathered
            join = ready_join(self.run.process, gathered, self._standing()) if gathered else None
            if join is None:
                break
            self._gathered = {id: n for id, n in gathered.items() if id != join}
            self.start(self._steps[join])
        if self.ended or self.run.ended:
            return
        if self._died:
            if not self._was_stopped():
                self.events.append(RunStopped(self._died))
        elif self.events and not self.calls and not self._has_tokens():
            self.events.append(RunCompleted(self._output()))
            self.ended = True

    def _gather(self, join: str) -> None:
        if self._gathered is None:
            self._gathered = dict(self.run.gathered)
        self._gathered[join] = self._gathered.get(join, 0) + 1

    def _standing(self) -> list[str]:
        standing = [key[0] for key in self.run.open if key not in self.closed]
        standing.extend(key[0] for key, is_open in self.opened.items() if is_open)
        return standing

    def _has_tokens(self) -> bool:
        gathered = self.run.gathered if self._gathered is None else self._gathered
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

    def _output(self) -> Any:
        output = self.run.process.output
        if output is None:
            return None
        try:
            value = output.resolve(self.document, self.scope())
        except ExpressionFailed as failed:
            return {"error": {"kind": "expression", "message": f"output: {failed}"}}
        if value is MISSING:
            return None
        trouble = hash_of(value)[1]
        return {"error": {"kind": "result", "message": f"output: {trouble}"}} if trouble else value


def hash_of(value: Any) -> tuple[str, str]:
    """The hash of a value's canonical JSON (32 hexadecimal digits), and why it has none: an
    expression can make texts and depths that JSON cannot carry.
    """
    try:
        return blake2b(_canonical(value), digest_size=16).hexdigest(), ""
    except (TypeError, ValueError, RecursionError) as wrong:
        return "", f"this is not JSON: {wrong}"


def backoff_ms(policy: RetryPolicy, failures: int, seed: str) -> int:
    """The wait after failure number `failures`, in milliseconds: exponential, bounded, and spread
    over the last fifth by a hash of `seed`, so that many runs do not come back at one moment.
    """
    grown = policy.first_ms * policy.factor ** min(failures - 1, 64)
    wait = min(grown, policy.max_ms, LIMITS.retry_wait_ms)
    spread = crc32(f"{seed}/{failures}".encode()) / 0xFFFFFFFF
    return round(wait * (0.8 + 0.2 * spread))


def wait_until(value: Any, now: int) -> int:
    """When a `wait` step ends, from its parameters `{for: duration}` or `{until: moment}`.

    Raises `DurationError`.
    """
    length = value.get("for") if isinstance(value, dict) else None
    moment = value.get("until") if isinstance(value, dict) else None
    if isinstance(length, str) and moment is None:
        until = now + parse_duration_ms(length)
    elif isinstance(moment, str) and length is None:
        until = max(now, parse_moment_ms(moment))
    else:
        raise DurationError("wait needs `for` (such as 5m) or `until` (a moment), as text")
    if until - now > LIMITS.wait_ms:
        raise DurationError(f"the wait passes wait_ms ({LIMITS.wait_ms})")
    return until


def _bounded(error: Error) -> Error:
    message = error.message
    if len(message) > LIMITS.error_message_bytes:
        return Error(error.kind, message[: LIMITS.error_message_bytes] + "…")
    return error
