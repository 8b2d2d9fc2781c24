"""The operation by which workers answer later: a POST to the address that came with the call.

The address is signed and is for one attempt. What it brings becomes a message of the run, and the
worker hears that it is taken once that is durable.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Text, operation
from beltline.api.problem import Problem
from beltline.catalog.answers import answer_told
from beltline.core.decide import awaited
from beltline.core.events import StepCompleted, StepFailed
from beltline.core.inputs import Answer, Answered, AttemptFailed, decode_message, encode_message
from beltline.core.turn import Call as AttemptCall
from beltline.engine.callbacks import Ticket
from beltline.engine.contract import ANSWER_MEDIA, NotAnAnswer
from beltline.engine.ids import key_of
from beltline.engine.inspection import Inspected, inspect
from beltline.engine.ports import Dispatched, NotFound


class AnswerQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attempt that is answered, as its signed address says it; `expires` in Unix ms."""

    run: Annotated[str, Meta(max_length=100)]
    step: Annotated[str, Meta(max_length=1_000)]
    visit: int
    attempt: int
    expires: int
    signature: Annotated[str, Meta(max_length=64)]


class Taken(msgspec.Struct, frozen=True):
    """The answer is durable, and the run goes on with it: as a `result`, or as a `failure`, whose
    reason is told.
    """

    run: str
    taken: Literal["result", "failure"]
    reason: str = ""


@operation(
    needs=Role.PUBLIC,
    query=AnswerQuery,
    text_media=(ANSWER_MEDIA,),
    text_limit="module_answer_bytes",
    answer=Taken,
    problems=(403, 409, 410, 422),
)
async def take_answer(call: Call[AnswerQuery, Text]) -> Taken:
    """Takes the later answer of a worker: the address came with the call, and is for it alone."""
    hub, asked = call.hub, call.query
    ticket = Ticket(asked.run, asked.step, asked.visit, asked.attempt, asked.expires)
    if not hub.callbacks.is_signed(ticket, asked.signature):
        raise Problem(403, "wrong-signature", "This hub did not make this address.")
    if ticket.expires <= hub.clock.now():
        raise _too_late("its deadline has passed")
    inspected, dispatched = await _awaited(hub, ticket)
    invocation = hub.catalog.invocation(dispatched.call.step.implementation)
    try:
        answer = answer_told(dispatched, call.body.text.encode(), invocation, hub.limits)
    except NotAnAnswer as wrong:
        detail = f"This cannot be taken: {wrong}. Nothing has changed."
        raise Problem(422, "no-answer", detail) from wrong
    await hub.store.post(inspected.record.key, encode_message(answer), hub.clock.now())
    hub.wake_runs()
    if isinstance(answer, Answered):
        return Taken(ticket.run, "result")
    return Taken(ticket.run, "failure", answer.error.message)


async def _awaited(hub: Hub, ticket: Ticket) -> tuple[Inspected, Dispatched]:
    """The run that waits for this answer, and the call that it is for. Raises `Problem`."""
    key = key_of(ticket.run)
    if key is None:
        raise _too_late("its run is not here any more")
    try:
        inspected = await inspect(hub.store, hub.processes, key)
    except NotFound:
        raise _too_late("its run is not here any more") from None
    run = inspected.run
    if run is None:
        raise _too_late(inspected.why_not)
    if _is_answered(inspected, ticket) or await _is_in_inbox(hub, key, ticket):
        raise Problem(409, "answered-already", "This attempt has its answer. Nothing has changed.")
    visit = awaited(run, Answered(ticket.step, ticket.visit, ticket.attempt, None))
    if visit is None:
        raise _too_late(f"the run is {run.ended}" if run.ended else "it was given up")
    step = run.process.steps[ticket.step]
    made = AttemptCall(step, ticket.visit, ticket.attempt, visit.input, visit.at)
    return inspected, Dispatched(key, run.id, made)


def _is_answered(inspected: Inspected, ticket: Ticket) -> bool:
    for entry in inspected.entries:
        for event in entry.events:
            if isinstance(event, StepCompleted | StepFailed) and _is_of(event, ticket):
                return isinstance(event, StepCompleted) or event.error.kind != "timeout"
    return False


async def _is_in_inbox(hub: Hub, key: bytes, ticket: Ticket) -> bool:
    """Whether an answer is durable that the run has not been decided on yet."""
    _, stored = await hub.store.run(key)
    for message in () if stored is None else stored.messages:
        try:
            said = decode_message(message.body)
        except msgspec.DecodeError:
            continue  # of a newer version
        if isinstance(said, Answered | AttemptFailed) and _is_of(said, ticket):
            return True
    return False


def _is_of(one: Answer | StepCompleted | StepFailed, ticket: Ticket) -> bool:
    return (one.step, one.visit, one.attempt) == (ticket.step, ticket.visit, ticket.attempt)


def _too_late(why: str) -> Problem:
    return Problem(410, "too-late", f"This attempt is over: {why}. Nothing has changed.")
