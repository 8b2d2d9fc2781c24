"""What a handler's outcome means for its call: the answer that the supervisor decides on.

Handlers inside the hub give objects; workers outside give JSON, which is read as what their module
declares. From there on there is no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from beltline.catalog.invocation import Invocation
from beltline.catalog.parameters import explain
from beltline.core.events import Error
from beltline.core.inputs import Answer, Answered, AttemptFailed
from beltline.core.limits import Limits
from beltline.engine.contract import read_outcome
from beltline.engine.ports import Dispatched
from beltline.sdk import Reject, Retry

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def answer_told(
    call: Dispatched, told: bytes, invocation: Invocation | None, limits: Limits
) -> Answer:
    """The answer for what a worker told, in JSON. Raises `engine.contract.NotAnAnswer`."""
    outcome = read_outcome(told)
    if invocation is not None and not isinstance(outcome, Retry | Reject):
        try:
            outcome = invocation.read(outcome)
        except msgspec.ValidationError as wrong:
            text = f"the result is not what {invocation.module.pinned} declares: {explain(wrong)}"
            return failed(call, "result", text, final=True)
    return answer_of(call, outcome, invocation, limits)


def answer_of(
    call: Dispatched, outcome: Any, invocation: Invocation | None, limits: Limits
) -> Answer:
    """The answer for what the handler of `invocation` returned. This does not raise, whatever the
    outcome is.
    """
    try:
        return _answer_of(call, outcome, invocation, limits)
    except Exception as wrong:  # noqa: BLE001 - a handler's outcome can raise anything
        return failed(call, "result", f"the result cannot be read: {_text_of(wrong)}", final=True)


def _answer_of(
    call: Dispatched, outcome: Any, invocation: Invocation | None, limits: Limits
) -> Answer:
    asked = call.call
    if type(outcome) is Retry:
        after = outcome.after_s
        if after is not None and not 0 <= after < math.inf:
            return failed(call, "result", "Retry.after_s must be zero or more seconds", final=True)
        return AttemptFailed(
            asked.step.id,
            asked.visit,
            asked.attempt,
            Error("retry", _text_of(outcome.reason)),
            after_ms=None if after is None else round(after * 1_000),
        )
    if type(outcome) is Reject:
        return failed(call, "reject", _text_of(outcome.reason), final=True)
    if invocation is not None and not invocation.fits(outcome):
        text = f"the handler gave {type(outcome).__name__}, which its module does not declare"
        return failed(call, "result", text, final=True)
    try:
        # Through JSON, so that memory holds just what the journal will: no object of the
        # handler's, no type that JSON does not know.
        encoded = _encode(outcome)
        result = _decode(encoded)
    except (TypeError, ValueError, OverflowError, RecursionError) as wrong:
        return failed(call, "result", f"the result is not JSON: {_text_of(wrong)}", final=True)
    if len(encoded) > limits.result_bytes:
        text = f"the result passes result_bytes ({limits.result_bytes})"
        return failed(call, "limit", text, final=True)
    if _may_be_deeper(encoded, limits.result_depth) and _depth(result) > limits.result_depth:
        text = f"the result is nested deeper than result_depth ({limits.result_depth})"
        return failed(call, "limit", text, final=True)
    return Answered(asked.step.id, asked.visit, asked.attempt, result, len(encoded))


def _may_be_deeper(encoded: bytes, depth: int) -> bool:
    """A cheap look: there is no depth without as many brackets."""
    return encoded.count(b"{") + encoded.count(b"[") > depth


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, dict):
            waiting.extend((item, depth + 1) for item in one.values())
        elif isinstance(one, list):
            waiting.extend((item, depth + 1) for item in one)
        else:
            continue
        deepest = max(deepest, depth)
    return deepest


def _text_of(told: object) -> str:
    """What a handler told, as text that can be stored, whatever it is."""
    try:
        return str(told).encode(errors="replace").decode()
    except Exception:  # noqa: BLE001 - the same
        return f"a {type(told).__name__} that cannot be printed"


def cleaned(call: Dispatched, answer: Answer, clean: Callable[[Any], Any]) -> Answer:
    """The answer of a handler that had a connection, without its secrets."""
    if call.call.step.connection is None:
        return answer
    if isinstance(answer, Answered):
        return msgspec.structs.replace(answer, result=clean(answer.result))
    error = answer.error
    return msgspec.structs.replace(answer, error=Error(error.kind, clean(error.message)))


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
    name, text = type(error).__name__, _text_of(error)
    if isinstance(error, ModuleNotFoundError):  # trying again installs nothing
        message = f"the library {error.name} is not installed where the module runs"
        return failed(call, "module", message, final=True)
    return failed(call, "exception", f"{name}: {text}" if text else name, final=False)
