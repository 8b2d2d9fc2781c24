"""`wait`: a length of time, or until a moment."""

from __future__ import annotations

from typing import Any

from beltline.core.duration import DurationError, parse_duration_ms, parse_moment_ms
from beltline.core.events import StepWaiting
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.turn import Turn
from beltline.core.visit import Visit


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The visit waits."""
    try:
        until = wait_until(value, turn.at)
    except DurationError as wrong:
        turn.refuse(step, visit, attempt, str(wrong))
        return
    turn.events.append(StepWaiting(step.id, visit, until))


def due(turn: Turn, step: Step, visit: Visit) -> None:
    """The wait is over."""
    turn.finish(step, visit.number, visit.attempt, {"until": visit.at})


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
