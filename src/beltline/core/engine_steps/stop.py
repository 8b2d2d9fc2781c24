"""`stop`: the whole run ends here, wherever else it stands; late answers are fenced off."""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import size_of
from beltline.core.events import StepCompleted
from beltline.core.model import Step
from beltline.core.turn import Turn


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The run is completed, whatever stands in the step's routes."""
    reason = str(value.get("reason", "")) if isinstance(value, dict) else ""
    result = {"reason": reason}
    if turn.undoing is not None:
        turn.finish(step, visit, attempt, result)  # what is left is undone all the same
        return
    turn.close((step.id, visit))
    turn.document = {**turn.document, step.id: result}
    turn.events.append(StepCompleted(step.id, visit, attempt, result, size_of(result), ()))
    turn.end(reason)
