"""`wait-event`: until an outside event of this name and key, or until the time is over.

    event-awaited ──> an event was given to the run ──> its data, and on by the routes
                  └─> the time is over ──> `on_timeout`; without it the visit fails (`timeout`)

What is committed first wins. The other finds no visit that waits: a time that is over is nothing
then, and an event is noted as late.
"""

from __future__ import annotations

from typing import Any

from beltline.core.duration import DurationError, parse_duration_ms
from beltline.core.events import Error, EventAwaited
from beltline.core.inputs import EventArrived
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.turn import Turn
from beltline.core.visit import Awaited, Visit


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """The visit waits."""
    try:
        name, key = event_of(value)
        until = until_of(value, turn.at)
    except ValueError as wrong:
        turn.refuse(step, visit, attempt, str(wrong))
        return
    turn.wait_for(step, visit, Awaited("event", name, key))
    turn.events.append(EventAwaited(step.id, visit, name, key, until))


def arrived(turn: Turn, step: Step, visit: Visit, event: EventArrived) -> None:
    """An event that it waits for was given to the run."""
    result = {"event": event.id, "data": event.data, "timed_out": False}
    turn.finish(step, visit.number, visit.attempt, result)


def due(turn: Turn, step: Step, visit: Visit) -> None:
    """The time is over."""
    if step.on_timeout:
        result = {"timed_out": True}
        turn.finish(step, visit.number, visit.attempt, result, step.on_timeout)
        return
    awaited = visit.awaits
    assert awaited is not None
    text = f"no event {awaited.name!r} came in time"
    error = Error("timeout", text)
    turn.fail(step, visit.number, visit.attempt, visit.failures, error, final=True)


def event_of(value: Any) -> tuple[str, str]:
    """The name and the key of `{name, key}`. Raises `ValueError`."""
    name = value.get("name") if isinstance(value, dict) else None
    key = value.get("key", "") if isinstance(value, dict) else None
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(name, str) or not name or not isinstance(key, str):
        raise ValueError("wait-event needs `name`, a text, and `key`, a text or a whole number")
    for what, text in (("name", name), ("key", key)):
        if len(text.encode("utf-8", "surrogatepass")) > LIMITS.event_key_bytes:
            raise ValueError(
                f"the {what} takes more than {LIMITS.event_key_bytes} bytes (limit event_key_bytes)"
            )
    return name, key


def until_of(value: Any, now: int) -> int | None:
    """When the time of `{within: duration}` is over; None where there is none. Raises
    `DurationError`, a `ValueError`.
    """
    within = value.get("within")
    if within is None:
        return None
    if not isinstance(within, str):
        raise DurationError("`within` is a length of time, such as 2d")
    length = parse_duration_ms(within)
    if length > LIMITS.wait_ms:
        raise DurationError(f"the wait passes wait_ms ({LIMITS.wait_ms})")
    return now + length
