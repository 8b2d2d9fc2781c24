"""What a handler's outcome means for its call: the answer that the supervisor decides on."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.core.events import Error
from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import Limits
from beltline.engine.ports import Dispatched
from beltline.sdk import Reject, Retry

Answer = Answered | AttemptFailed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def answer_of(call: Dispatched, outcome: Any, limits: Limits) -> Answer:
    """The answer for what a handler returned."""
    asked = call.call
    if type(outcome) is Retry:
        after = None if outcome.after_s is None else round(outcome.after_s * 1_000)
        error = Error("retry", outcome.reason)
        return AttemptFailed(asked.step.id, asked.visit, asked.attempt, error, after_ms=after)
    if type(outcome) is Reject:
        return failed(call, "reject", outcome.reason, final=True)
    try:
        # Through JSON, so that memory holds just what the journal will: no object of the
        # handler's, no type that JSON does not know.
        encoded = _encode(outcome)
        result = _decode(encoded)
    except (TypeError, ValueError, OverflowError, RecursionError) as wrong:
        return failed(call, "result", f"the result is not JSON: {wrong}", final=True)
    if len(encoded) > limits.result_bytes:
        text = f"the result passes result_bytes ({limits.result_bytes})"
        return failed(call, "limit", text, final=True)
    return Answered(asked.step.id, asked.visit, asked.attempt, result, len(encoded))


def failed(call: Dispatched, kind: str, message: str, *, final: bool) -> AttemptFailed:
    """The answer for a call that went wrong; `final` forbids a retry."""
    asked = call.call
    return AttemptFailed(asked.step.id, asked.visit, asked.attempt, Error(kind, message), final)


def unknown(call: Dispatched) -> AttemptFailed:
    """No module of that name is here. It may come back with the next start, so it is retried."""
    text = f"there is no module {call.call.step.implementation} on this node"
    return failed(call, "module", text, final=False)


def raised(call: Dispatched, error: BaseException) -> AttemptFailed:
    """A handler raised, which counts as a failure like any other."""
    name, text = type(error).__name__, str(error)
    return failed(call, "exception", f"{name}: {text}" if text else name, final=False)
