"""Operations on runs: lists, one run with its journal, and what people decide about it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.core.duration import DurationError, parse_moment_ms
from beltline.core.explanation import moment
from beltline.core.inputs import Cancel, Command, GoTo, Retry, Skip, encode_message
from beltline.core.run import Status
from beltline.engine.ids import id_of, key_of
from beltline.engine.inspection import Inspected, RunView, inspect
from beltline.engine.ports import NotFound
from beltline.engine.records import RunFilter, RunRecord

_PAGE = 50

Moment = Annotated[str, Meta(description="A moment, ISO 8601 with its offset from UTC.")]
RunId = Annotated[str, Meta(description="The id of a run.")]
PageLength = Annotated[int, Meta(ge=1, description="At most the limit `page`.")]
StepId = Annotated[str, Meta(description="Which dead letter; needed where there are several.")]


class RunSummary(msgspec.Struct, frozen=True):
    """A run in a list. The status is that of its last rest, and `moving` while a node works on it;
    with a dead letter it is `stopped`, also while other branches move.
    """

    id: str
    source: str
    process: str
    version: int | None
    status: Status
    accepted_at: str
    ready_at: str | None
    crashes: int


class RunPage(msgspec.Struct, frozen=True):
    """Runs, newest first; `next` is the `before` of the page after this one, null at the end."""

    runs: list[RunSummary]
    next: str | None


class RunQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs. `before` is the id that the page before ended with."""

    process: str | None = None
    source: str | None = None
    status: Status | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: RunId | None = None
    limit: PageLength | None = None


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tries dead letters again: all, or those of `step`. `with` gives other parameters, which
    makes it a new visit with a new idempotency key.
    """

    step: StepId | None = None
    given: dict[str, Any] | None = msgspec.field(default=None, name="with")


class SkipBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Gives a dead letter's `result` and goes on as if its step had completed."""

    step: StepId | None = None
    result: Any = None


class GoToBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Takes a dead letter's token `to` another step."""

    to: str
    step: StepId | None = None


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ends the run where it stands. With `undo` what its steps have done is undone first."""

    reason: Annotated[str, Meta(max_length=1_000)] = ""
    undo: bool = False


class Asked(msgspec.Struct, frozen=True):
    """The command is durable, and the run's node decides on it next; `status` shows the outcome."""

    run: str
    message: int
    status: str


@operation(needs=Role.VIEWER, query=RunQuery, answer=RunPage, problems=(400,))
async def list_runs(call: Call[RunQuery, Nothing]) -> RunPage:
    """Lists runs and held requests, newest first."""
    hub, query = call.hub, call.query
    limit = page_length(query.limit, hub.limits.page)
    filter = RunFilter(
        process=query.process,
        source=query.source,
        status=query.status,
        since=milliseconds(query.since, "since"),
        until=milliseconds(query.until, "until"),
        before=None if query.before is None else key_in_query(query.before, "before"),
    )
    records = await hub.store.runs(filter, limit)
    versions: dict[int, int | None] = {}
    runs = [await _summary(hub, record, versions) for record in records]
    return RunPage(runs, runs[-1].id if len(runs) == limit else None)


@operation(needs=Role.VIEWER, answer=RunView, problems=(404,))
async def show_run(call: Call[Nothing, Nothing]) -> RunView:
    """Shows a run: where it stands and why, its document, its journal."""
    return (await _inspected(call)).view()


@operation(
    needs=Role.OPERATOR,
    body=RetryBody,
    answer=Asked,
    status=202,
    problems=(404, 409, 413, 415, 422),
)
async def retry_run(call: Call[Nothing, RetryBody]) -> Asked:
    """Tries dead letters of a run again."""
    body = call.body
    return await ask(call, Retry(body.step, body.given, call.caller.name))


@operation(
    needs=Role.OPERATOR, body=SkipBody, answer=Asked, status=202, problems=(404, 409, 413, 415, 422)
)
async def skip_step(call: Call[Nothing, SkipBody]) -> Asked:
    """Gives the result of a dead letter's step and goes on."""
    body = call.body
    return await ask(call, Skip(body.step, body.result, call.caller.name))


@operation(
    needs=Role.OPERATOR, body=GoToBody, answer=Asked, status=202, problems=(404, 409, 413, 415, 422)
)
async def go_to_step(call: Call[Nothing, GoToBody]) -> Asked:
    """Takes a dead letter to another step."""
    body = call.body
    return await ask(call, GoTo(body.to, body.step, call.caller.name))


@operation(
    needs=Role.OPERATOR,
    body=CancelBody,
    answer=Asked,
    status=202,
    problems=(404, 409, 413, 415, 422),
)
async def cancel_run(call: Call[Nothing, CancelBody]) -> Asked:
    """Ends a run where it stands, or undoes what it has done and then ends it."""
    return await ask(call, Cancel(call.body.reason, call.caller.name, call.body.undo))


async def post_command(hub: Hub, key: bytes, command: Command) -> int:
    """Makes a command durable; the run's node is to be woken after it (`hub.wake_runs`)."""
    return await hub.store.post(key, encode_message(command), hub.clock.now())


def milliseconds(text: str | None, name: str) -> int | None:
    """A moment of the query in Unix ms. Raises `Problem` (400)."""
    if text is None:
        return None
    try:
        return parse_moment_ms(text)
    except DurationError as wrong:
        plus = " A + is written %2B in a query." if " " in text.strip() else ""
        raise Problem(400, "wrong-query", f"{name}: {str(wrong)[:200]}.{plus}") from wrong


def key_in_query(id: str, name: str) -> bytes:
    """The key of an id in the query. Raises `Problem` (400)."""
    key = key_of(id)
    if key is None:
        raise Problem(400, "wrong-query", f"{name} is no id of a run.")
    return key


def page_length(wanted: int | None, most: int) -> int:
    """The length of a page. Raises `Problem` (400) past the limit `page`."""
    if wanted is None:
        return min(_PAGE, most)
    if wanted > most:
        raise Problem(400, "wrong-query", f"limit is at most {most:,} (limit page).")
    return wanted


async def _inspected(call: Call[Any, Any]) -> Inspected:
    key = key_of(call.path["id"])
    if key is not None:
        try:
            return await inspect(call.hub.store, call.hub.processes, key)
        except NotFound:
            pass
    raise Problem(404, "no-such-run", "There is no run with this id.")


async def ask(call: Call[Any, Any], command: Command) -> Asked:
    """Has a command for the run in the path carried out. Raises `Problem` (404, 409)."""
    inspected = await _inspected(call)
    why_not = inspected.refusal(command)
    if why_not:
        raise Problem(409, "refused", f"This cannot be done now: {why_not}.")
    key = inspected.record.key
    message = await post_command(call.hub, key, command)
    call.hub.wake_runs()
    return Asked(id_of(key), message, f"/api/v1/runs/{id_of(key)}")


async def _summary(hub: Hub, record: RunRecord, versions: dict[int, int | None]) -> RunSummary:
    version = None
    if record.version_id is not None:
        if record.version_id not in versions:
            versions[record.version_id] = await _version_number(hub, record.version_id)
        version = versions[record.version_id]
    return RunSummary(
        id=id_of(record.key),
        source=record.source,
        process=record.process,
        version=version,
        status=record.status,
        accepted_at=moment(record.accepted_at),
        ready_at=None if record.ready_at is None else moment(record.ready_at),
        crashes=record.crashes,
    )


async def _version_number(hub: Hub, version_id: int) -> int | None:
    try:
        return (await hub.store.version_by_id(version_id)).version
    except NotFound:
        return None
