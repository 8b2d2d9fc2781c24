"""The answer of a worker that was called by a queue: an event, since there is no response.

It carries the ticket of its call, unchanged, and one of the answers that a response may carry, or a
problem in place of a status. `docs/reference/worker-contract.md` tells it to authors of workers.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from beltline.engine.contract import (
    ANSWER_MEDIA,
    NotAnAnswer,
    ProblemBody,
    RejectAnswer,
    ResultAnswer,
    RetryAnswer,
    Text,
)

TYPE: Final = "beltline.step-answered"


class ToldProblem(msgspec.Struct, frozen=True):
    """What went wrong; as the problem (RFC 9457) that a response would carry."""

    kind: Annotated[
        Literal["exception", "input", "limit", "module", "reject", "result", "retry"],
        Meta(description="As the table of responses names it; exception and module come again."),
    ]
    detail: Annotated[str, Meta(description="For people.")] = ""


class ProblemAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The worker could not do it."""

    problem: ToldProblem


class StepAnswer(msgspec.Struct, frozen=True):
    """The `data` of the event."""

    ticket: Annotated[Text, Meta(description="That of the call, unchanged.")]
    answer: Annotated[msgspec.Raw, Meta(description="Result, retry, reject, or problem.")]
    worker: Annotated[
        str, Meta(description="What the worker calls itself, with its version; for people.")
    ] = ""


class AnswerEvent(msgspec.Struct, frozen=True):
    """A CloudEvents 1.0 event that answers a call."""

    id: Annotated[Text, Meta(description="That of the call.")]
    source: Annotated[Text, Meta(description="Whose answer it is, such as /workers/deals.")]
    data: StepAnswer
    specversion: Literal["1.0"] = "1.0"
    type: Literal["beltline.step-answered"] = TYPE
    datacontenttype: Literal["application/json"] = ANSWER_MEDIA


ANSWERS: tuple[type[msgspec.Struct], ...] = (
    ResultAnswer,
    RetryAnswer,
    RejectAnswer,
    ProblemAnswer,
)
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(AnswerEvent).decode
_decode_problem = msgspec.json.Decoder(ProblemAnswer).decode


def read_answer_event(raw: bytes) -> AnswerEvent:
    """The event of an answer. Raises `NotAnAnswer`."""
    try:
        event: AnswerEvent = _decode_event(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
        raise NotAnAnswer(f"this is no event of an answer: {wrong}") from wrong
    return event


def problem_of(answer: bytes) -> ProblemBody | None:
    """The problem that an answer is; None where it is something else."""
    try:
        told: ProblemAnswer = _decode_problem(answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return ProblemBody(told.problem.kind, told.problem.detail)


def problem_bytes(kind: str, detail: str) -> bytes:
    """A problem as the JSON of an answer."""
    return _encode({"problem": {"kind": kind, "detail": detail}})


def answer_event_of(id: str, ticket: str, answer: bytes, worker: str) -> bytes:
    """The event of an answer, as JSON."""
    data = StepAnswer(ticket, msgspec.Raw(answer), worker)
    return _encode(AnswerEvent(id, "/workers", data))


def answer_event_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the event."""
    template = "#/$defs/{name}"
    (event,), parts = msgspec.json.schema_components([AnswerEvent], ref_template=template)
    answers, others = msgspec.json.schema_components(ANSWERS, ref_template=template)
    parts["StepAnswer"]["properties"]["answer"] = {
        "description": "Result, retry, reject, or problem.",
        "oneOf": list(answers),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The answer of a worker by a queue",
        **event,
        "$defs": {**parts, **others},
    }
