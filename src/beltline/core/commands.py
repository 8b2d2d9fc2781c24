"""What people may do with a run that stopped: retry, skip, go to another step, cancel.

A command that does not fit the run's state is refused in words that stand in the journal.
"""

from __future__ import annotations

import msgspec

from beltline.core import undo
from beltline.core.engine_steps import approve
from beltline.core.events import CommandRefused, RunCancelled, StepLeft, StepSkipped
from beltline.core.expression import ExpressionFailed
from beltline.core.inputs import Cancel, Command, GoTo, Resolve, Retry, Skip
from beltline.core.limits import LIMITS
from beltline.core.run import RETRIED_BY_PERSON, Run
from beltline.core.turn import Turn
from beltline.core.visit import Visit

_encode = msgspec.json.Encoder().encode


def refusal(run: Run, command: Command) -> str:
    """Why `command` cannot be carried out on `run` as it stands; empty where it can."""
    if run.ended:
        return f"the run is {run.ended}"
    if isinstance(command, Cancel):
        return "it is being undone already" if command.undo and run.undoing is not None else ""
    if isinstance(command, GoTo) and run.undoing is not None:
        return "the run is being undone: its dead letters may be retried or skipped"
    if isinstance(command, Resolve):
        found = approve.waiting(run, command)
        return found if isinstance(found, str) else ""
    if isinstance(command, GoTo) and command.to not in run.process.steps:
        return f"there is no step {command.to!r} in {run.process.name}"
    if command.step is not None and command.step not in run.process.steps:
        return f"there is no step {command.step!r} in {run.process.name}"
    letters = dead_letters(run, command.step)
    if not letters:
        where = f"at {command.step!r}" if command.step else "in the run"
        return f"there is no dead letter {where}"
    if len(letters) > 1 and not isinstance(command, Retry) and command.step is None:
        steps = ", ".join(visit.step for visit in letters)
        return f"there are dead letters at {steps}: name the step"
    return ""


def dead_letters(run: Run, step: str | None) -> list[Visit]:
    """The dead letters of the run, or of one step of it."""
    return [visit for visit in run.dead if step is None or visit.step == step]


def carry_out(turn: Turn, command: Command) -> None:
    """Adds to `turn` what `command` leads to."""
    run = turn.run
    why_not = refusal(run, command)
    if why_not:
        name = type(command).__struct_config__.tag
        turn.events.append(CommandRefused(str(name), why_not))
        return
    if isinstance(command, Cancel):
        reason = _signed(command.reason or "cancelled", command.by)
        if command.undo:
            undo.begin(turn, reason)
            return
        turn.events.append(RunCancelled(reason))
        turn.ended = True
        return
    if isinstance(command, Resolve):
        approve.resolved(turn, command)
        return
    letters = dead_letters(run, command.step)
    if isinstance(command, Retry):
        for visit in letters:
            _retry(turn, visit, command)
    elif isinstance(command, Skip):
        _skip(turn, letters[0], command)
    else:
        visit = letters[0]
        turn.close((visit.step, visit.number))
        reason = _signed("moved by a person", command.by)
        turn.events.append(StepLeft(visit.step, visit.number, (command.to,), reason))
        turn.arrive((command.to,))


def _retry(turn: Turn, visit: Visit, command: Retry) -> None:
    if command.given is None and visit.input is not None:
        turn.dispatch_again(visit, RETRIED_BY_PERSON)
        return
    # Other parameters, or parameters that did not resolve: a new visit.
    turn.close((visit.step, visit.number))
    how = "with other parameters" if command.given is not None else "from its parameters on"
    reason = _signed(f"retried {how}", command.by)
    turn.events.append(StepLeft(visit.step, visit.number, (), reason))
    turn.start(turn.run.process.steps[visit.step], command.given)


def _skip(turn: Turn, visit: Visit, command: Skip) -> None:
    step = turn.run.process.steps[visit.step]
    size = len(_encode(command.result))
    if not turn.take_slot(step, size):
        text = f"the document would pass document_bytes ({LIMITS.document_bytes})"
        turn.events.append(CommandRefused("skip", text))
        return
    before = turn.document
    turn.document = {**before, step.id: command.result}
    try:
        to, because = turn.route(step)
    except ExpressionFailed as failed:
        turn.document = before
        turn.events.append(CommandRefused("skip", f"condition of {step.id}: {failed}"))
        return
    turn.close((visit.step, visit.number))
    reason = _signed("skipped by a person", command.by)
    turn.events.append(
        StepSkipped(step.id, visit.number, command.result, size, to, reason, because)
    )
    turn.arrive(to)


def _signed(reason: str, by: str) -> str:
    return f"{reason} ({by})" if by else reason
