"""The contract of a worker: the event that calls it, and what it may answer.

A call is a CloudEvents 1.0 event in JSON (structured mode), whatever carries it. An answer is a
JSON object with one key: `result`, `retry` or `reject`. `docs/reference/worker-contract.md` tells
it to authors of workers; the JSON Schemas there are made from the Structs here.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from beltline.core.explanation import moment
from beltline.engine.ports import Dispatched
from beltline.sdk import Reject, Retry
from beltline.sdk.context import idempotency_key

EVENT_MEDIA = "application/cloudevents+json"
ANSWER_MEDIA: Final = "application/json"
PROBLEM_MEDIA = "application/problem+json"
TYPE: Final = "beltline.step-started"
WORKER_HEADER = "beltline-worker"
# Kinds of failure that a problem may name beside its status, and those of them that a further
# attempt cannot mend.
PROBLEM_KINDS = frozenset({"exception", "input", "limit", "module", "reject", "result", "retry"})
FINAL_KINDS = frozenset({"input", "limit", "reject", "result"})

Text = Annotated[str, Meta(min_length=1)]
Number = Annotated[int, Meta(ge=1)]


class CalledConnection(msgspec.Struct, frozen=True):
    """The connection that a step names. Its secret is never sent: a worker that needs it has it
    from its own surroundings.
    """

    name: Annotated[Text, Meta(description="As the step names it.")]
    kind: Annotated[str, Meta(description="The kind of system, such as bitrix24.")]
    address: Annotated[str, Meta(description="Where the system is.")] = ""
    user: Annotated[str, Meta(description="The user name there, where it needs one.")] = ""


class StepCall(msgspec.Struct, frozen=True):
    """The `data` of the event: one attempt of one visit of a step."""

    module: Annotated[Text, Meta(description="What does the work: name@major version.")]
    run: Annotated[Text, Meta(description="The id of the run.")]
    step: Annotated[Text, Meta(description="The id of the step in its process.")]
    visit: Annotated[Number, Meta(description="Which activation of the step in its run.")]
    attempt: Annotated[Number, Meta(description="Which dispatch of the visit; fences answers.")]
    key: Annotated[
        Text, Meta(description="The idempotency key: the same for every attempt of the visit.")
    ]
    deadline: Annotated[
        Text, Meta(description="ISO 8601, by the hub's clock; a later answer does not count.")
    ]
    input: Annotated[Any, Meta(description="The step's parameters.")]
    repeat: Annotated[
        bool,
        Meta(description="An earlier attempt may have been carried out: look for its effect."),
    ] = False
    connection: Annotated[
        CalledConnection | None, Meta(description="Null where the step names none.")
    ] = None
    callback: Annotated[
        str, Meta(description="Where to POST an answer that comes later; empty: it cannot.")
    ] = ""
    results: Annotated[
        str, Meta(description="By queue: where on the broker the answer is sent; else empty.")
    ] = ""
    ticket: Annotated[
        str, Meta(description="By queue: goes back with the answer, unchanged; else empty.")
    ] = ""


class CallEvent(msgspec.Struct, frozen=True):
    """A CloudEvents 1.0 event that calls a worker. `time` is when it was sent."""

    id: Annotated[Text, Meta(description="Of this attempt: step/visit/attempt.")]
    source: Annotated[Text, Meta(description="The run: /api/v1/runs/ID.")]
    subject: Annotated[Text, Meta(description="The step.")]
    time: Annotated[Text, Meta(description="When it was sent: ISO 8601, by the hub's clock.")]
    data: StepCall
    specversion: Literal["1.0"] = "1.0"
    type: Literal["beltline.step-started"] = TYPE
    datacontenttype: Literal["application/json"] = ANSWER_MEDIA


class ResultAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The work is done."""

    result: Annotated[Any, Meta(description="Goes into the document; as the module declares it.")]


class RetryWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the world was not ready, and the earliest wait."""

    reason: Annotated[str, Meta(description="For people.")] = ""
    after_s: Annotated[
        float | None, Meta(description="In seconds; null: by the policy of the step.")
    ] = None


class RetryAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The world was not ready: try this visit again. It counts as a failure."""

    retry: RetryWish


class RejectReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why trying again cannot help."""

    reason: Annotated[str, Meta(description="For people.")] = ""


class RejectAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Trying again cannot help: the visit fails at once."""

    reject: RejectReason


class ProblemBody(msgspec.Struct, frozen=True):
    """What the hub reads of a problem (RFC 9457) that a worker answers; the rest is left alone."""

    kind: str = ""
    detail: str = ""
    title: str = ""


class NotAnAnswer(Exception):
    """What came is no answer of this contract; the text says what is wrong with it."""


_ANSWERS: dict[str, type[ResultAnswer | RetryAnswer | RejectAnswer]] = {
    "result": ResultAnswer,
    "retry": RetryAnswer,
    "reject": RejectAnswer,
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_event = msgspec.json.Decoder(CallEvent).decode
_decode_problem = msgspec.json.Decoder(ProblemBody).decode


def event_of(
    call: Dispatched,
    *,
    now: int,
    callback: str,
    connection: CalledConnection | None,
    results: str = "",
    ticket: str = "",
) -> bytes:
    """The event of a call that is sent at `now` (Unix ms), as JSON."""
    asked = call.call
    step, visit, attempt = asked.step.id, asked.visit, asked.attempt
    data = StepCall(
        module=asked.step.implementation,
        run=call.run,
        step=step,
        visit=visit,
        attempt=attempt,
        key=idempotency_key(call.run, step, visit),
        deadline=moment(asked.deadline),
        input=asked.input,
        repeat=asked.is_repeat,
        connection=connection,
        callback=callback,
        results=results,
        ticket=ticket,
    )
    return _encode(
        CallEvent(
            id=f"{step}/{visit}/{attempt}",
            source=f"/api/v1/runs/{call.run}",
            subject=step,
            time=moment(now),
            data=data,
        )
    )


def read_event(raw: bytes) -> CallEvent:
    """The event of a call. Raises `NotAnAnswer`, in words for the sender."""
    try:
        event: CallEvent = _decode_event(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
        raise NotAnAnswer(f"this is no event of a call: {wrong}") from wrong
    return event


def read_outcome(raw: bytes) -> Any:
    """What an answer says: a result, or `Retry`, or `Reject`. Raises `NotAnAnswer`."""
    try:
        given = _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
        raise NotAnAnswer(f"the answer is not JSON: {wrong}") from wrong
    if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= _ANSWERS.keys():
        raise NotAnAnswer(f"the answer must be an object with one key of {', '.join(_ANSWERS)}")
    kind = _ANSWERS[next(iter(given))]
    try:
        answer = msgspec.convert(given, kind)
    except msgspec.ValidationError as wrong:
        raise NotAnAnswer(f"the answer is wrong: {wrong}") from wrong
    if isinstance(answer, RetryAnswer):
        return Retry(answer.retry.reason, answer.retry.after_s)
    if isinstance(answer, RejectAnswer):
        return Reject(answer.reject.reason)
    return answer.result


def outcome_bytes(outcome: Any) -> bytes:
    """A result, `Retry` or `Reject` as the JSON of an answer."""
    if isinstance(outcome, Retry):
        return _encode(RetryAnswer(RetryWish(outcome.reason, outcome.after_s)))
    if isinstance(outcome, Reject):
        return _encode(RejectAnswer(RejectReason(outcome.reason)))
    return _encode(ResultAnswer(outcome))


def read_problem(raw: bytes) -> ProblemBody | None:
    """A problem, None where this is none."""
    try:
        problem: ProblemBody = _decode_problem(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return problem


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas (2020-12) of the contract: `event` and `answer`."""
    template = "#/$defs/{name}"
    (event,), parts = msgspec.json.schema_components([CallEvent], ref_template=template)
    answers, others = msgspec.json.schema_components(_ANSWERS.values(), ref_template=template)
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        "event": {**draft, "title": "A call of a worker", **event, "$defs": parts},
        "answer": {
            **draft,
            "title": "The answer of a worker",
            "oneOf": list(answers),
            "$defs": others,
        },
    }
