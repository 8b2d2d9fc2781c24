"""`approve`: a person decides, or the time is over.

    approval-awaited ──> approved or rejected ──> {approved, comment, given, by}, on by the routes
                     └─> the time is over     ──> `on_timeout`; without it the visit fails

A rejection is a decision like the other: where it leads is for the step's `condition`. What is
committed first wins; whoever decides after it is refused.
"""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import size_of
from beltline.core.engine_steps.wait_event import until_of
from beltline.core.events import ApprovalAwaited, Error
from beltline.core.inputs import Resolve
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.run import Run
from beltline.core.turn import Turn
from beltline.core.visit import Awaited, Visit


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The visit waits for a person."""
    wrong = trouble(value)
    if wrong:
        turn.refuse(step, visit, attempt, wrong)
        return
    try:
        until = until_of(value, turn.at)
    except ValueError as no_time:
        turn.refuse(step, visit, attempt, str(no_time))
        return
    title = value["title"]
    turn.wait_for(step, visit, Awaited("approval", title, ""))
    turn.events.append(ApprovalAwaited(step.id, visit, title, until))


def due(turn: Turn, step: Step, visit: Visit) -> None:
    """The time is over."""
    if step.on_timeout:
        result = {"timed_out": True}
        turn.finish(step, visit.number, visit.attempt, result, step.on_timeout)
        return
    error = Error("timeout", "nobody decided in time")
    turn.fail(step, visit.number, visit.attempt, visit.failures, error, final=True)


def resolved(turn: Turn, command: Resolve) -> None:
    """A person has decided; `waiting` says that they may."""
    visit = waiting(turn.run, command)
    assert isinstance(visit, Visit)
    result = {
        "approved": command.approved,
        "comment": command.comment,
        "given": command.given,
        "by": command.by,
        "timed_out": False,
    }
    turn.finish(turn.run.process.steps[visit.step], visit.number, visit.attempt, result)


def waiting(run: Run, command: Resolve) -> Visit | str:
    """The visit that a command decides, or why it cannot."""
    visits = [
        visit
        for visit in run.open.values()
        if visit.step == command.step
        and command.visit in (None, visit.number)
        and visit.awaits is not None
        and visit.awaits.kind == "approval"
    ]
    if not visits:
        return f"nothing waits for approval at {command.step!r}"
    if len(visits) > 1:
        numbers = ", ".join(str(visit.number) for visit in visits)
        return f"{command.step!r} waits for approval at its visits {numbers}: name the visit"
    fields = visits[0].input.get("fields", {})
    unknown = sorted(name for name in command.given if name not in fields)
    if unknown:
        known = ", ".join(fields) or "none"
        return f"{command.step!r} has no field {unknown[0][:100]!r}; there are: {known}"
    if size_of([command.comment, command.given]) > LIMITS.approval_bytes:
        return "the comment and the fields take too much (limit approval_bytes)"
    return visits[0]


def trouble(value: Any) -> str:
    """Why nobody can decide on these parameters; empty where a person can."""
    if not isinstance(value, dict):
        return "approve takes `title`"
    title, text, fields = value.get("title"), value.get("text", ""), value.get("fields", {})
    if not isinstance(title, str) or not title:
        return "approve needs `title`, a text"
    if size_of(title) > LIMITS.event_key_bytes:
        return f"the title takes more than {LIMITS.event_key_bytes} bytes (limit event_key_bytes)"
    if not isinstance(text, str):
        return "`text` is a text"
    if not isinstance(fields, dict) or not all(isinstance(one, str) for one in fields.values()):
        return "`fields` gives each field a title, a text"
    return ""
