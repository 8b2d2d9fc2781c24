"""What the response of a worker means: its own answer, or what its status says.

| response | meaning | kind | tried again |
|---|---|---|---|
| 200 with an answer | what the answer says | | |
| 200 with anything else | the worker is wrong, or its result is | `result`, `limit` | no |
| 200 of another content type | something between answered, such as a proxy | `transport` | yes |
| any, with `retry` or `reject` | what the answer says | `retry`, `reject` | as it says |
| 404 | no such module there (yet) | `module` | yes |
| 408, 409, 425, 429, 503 | the worker is not ready | `retry` | yes, after `Retry-After` |
| 413 | the event is too large for it | `limit` | no |
| 422 | the parameters are wrong | `input` | no |
| other 4xx | the worker refuses the call | `reject` | no |
| 500 | the handler failed | `exception` | yes |
| other 5xx | something between failed | `transport` | yes, after `Retry-After` |
| anything else | a redirect, say: the address is wrong | `transport` | no |
| none in time, no connection | | `transport` | yes |

A problem (RFC 9457) that comes with an error gives its `detail` as the reason, and may name the
`kind` itself.
"""

from __future__ import annotations

from beltline.catalog.answers import answer_of, answer_told, failed
from beltline.catalog.invocation import Invocation
from beltline.core.events import Error
from beltline.core.inputs import Answer, AttemptFailed
from beltline.core.limits import Limits
from beltline.engine.contract import (
    ANSWER_MEDIA,
    FINAL_KINDS,
    PROBLEM_KINDS,
    PROBLEM_MEDIA,
    NotAnAnswer,
    read_outcome,
    read_problem,
)
from beltline.engine.ports import Dispatched
from beltline.sdk import AnswerTooLarge, HttpFailed, HttpResponse, Reject, Retry

NOT_READY = frozenset({408, 409, 425, 429, 503})
_KINDS = {404: "module", 413: "limit", 422: "input", 500: "exception"}
_REASON_LENGTH = 300


def answer_of_failure(call: Dispatched, trouble: HttpFailed, limits: Limits) -> AttemptFailed:
    """No response came, or one that is too large to be read."""
    if isinstance(trouble, AnswerTooLarge):
        text = f"the answer of the worker passes module_answer_bytes ({limits.module_answer_bytes})"
        return failed(call, "limit", text, final=True)
    return failed(call, "transport", str(trouble), final=trouble.permanent)


def answer_of_response(
    call: Dispatched, response: HttpResponse, invocation: Invocation | None, limits: Limits
) -> Answer:
    """The answer for a response; 202 is the caller's. This does not raise."""
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status == 200:
        if media != ANSWER_MEDIA:
            text = f"the answer must be {ANSWER_MEDIA}, and is {media[:100] or 'of no type'}"
            return failed(call, "transport", text, final=False)
        try:
            return answer_told(call, response.body, invocation, limits)
        except NotAnAnswer as wrong:
            return failed(call, "result", str(wrong), final=True)
    if media == ANSWER_MEDIA:
        told = _told(response)
        if told is not None:
            return answer_of(call, told, invocation, limits)
    return _answer_of_status(call, response, media)


def _told(response: HttpResponse) -> Retry | Reject | None:
    """A typed answer beside a status that is an error; a result does not count there."""
    try:
        outcome = read_outcome(response.body)
    except NotAnAnswer:
        return None
    if isinstance(outcome, Retry) and outcome.after_s is None:
        return Retry(outcome.reason, response.retry_after_s())
    return outcome if isinstance(outcome, Retry | Reject) else None


def _answer_of_status(call: Dispatched, response: HttpResponse, media: str) -> AttemptFailed:
    status = response.status
    kind, text = _kind_of(status), f"the worker answered {status}"
    if media == PROBLEM_MEDIA:
        problem = read_problem(response.body)
        if problem is not None:
            kind = problem.kind if problem.kind in PROBLEM_KINDS else kind
            text = problem.detail or (f"{text}: {problem.title}" if problem.title else text)
    elif media == "text/plain":
        words = response.body[:_REASON_LENGTH].decode(errors="replace").strip()
        text = f"{text}: {words}" if words else text
    final = kind in FINAL_KINDS or (kind == "transport" and status < 500)
    asked = call.call
    wait_s = None if final else response.retry_after_s()
    return AttemptFailed(
        asked.step.id,
        asked.visit,
        asked.attempt,
        Error(kind, text),
        final,
        None if wait_s is None else round(wait_s * 1_000),
    )


def _kind_of(status: int) -> str:
    if status in NOT_READY:
        return "retry"
    if status in _KINDS:
        return _KINDS[status]
    return "reject" if 400 <= status < 500 else "transport"
