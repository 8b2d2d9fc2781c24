"""Operations on dead letters: all that waits for a person, and what is decided for many at once."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.api.runs import (
    Moment,
    PageLength,
    RunId,
    key_in_query,
    milliseconds,
    page_length,
    post_command,
)
from beltline.core.explanation import moment
from beltline.core.inputs import Cancel, Command, Retry, Skip
from beltline.engine.ids import id_of
from beltline.engine.inspection import Inspected, inspect
from beltline.engine.ports import NotFound
from beltline.engine.records import RunFilter, RunRecord

_AT_ONCE = 50  # commands that share a commit


class Letter(msgspec.Struct, frozen=True):
    """A step that waits for a person, and its last error."""

    step: str
    visit: int
    attempts: int
    kind: str
    message: str


class StoppedRun(msgspec.Struct, frozen=True):
    """A stopped run with its dead letters; `because` says why it stands."""

    run: str
    source: str
    process: str
    version: int | None
    accepted_at: str
    because: str
    letters: list[Letter]


class LetterPage(msgspec.Struct, frozen=True):
    """Stopped runs, newest first; `next` is the `before` of the page after this one."""

    runs: list[StoppedRun]
    next: str | None


class LetterQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which stopped runs."""

    process: str | None = None
    source: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: RunId | None = None
    limit: PageLength | None = None


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which stopped runs to decide about, the newest first: `limit` of them, or as many as the
    limit `bulk_runs` allows.
    """

    process: str | None = None
    source: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: RunId | None = None
    limit: Annotated[int, Meta(ge=1, description="At most the limit `bulk_runs`.")] | None = None


class RetryMany(Selection, frozen=True, kw_only=True):
    """Tries their dead letters again: all, or those of `step`."""

    step: str | None = None


class SkipMany(Selection, frozen=True, kw_only=True):
    """Gives `result` for the dead letter at `step` of each and goes on."""

    step: str
    result: Any = None


class CancelMany(Selection, frozen=True, kw_only=True):
    """Ends them where they stand. With `undo` what their steps have done is undone first."""

    reason: Annotated[str, Meta(max_length=1_000)] = ""
    undo: bool = False


class RefusedOne(msgspec.Struct, frozen=True):
    """A run that the command does not fit, and why."""

    run: str
    because: str


class AskedMany(msgspec.Struct, frozen=True):
    """For how many runs the command is durable, and which ones it did not fit. `next` is the
    `before` to go on with, null where none are left.
    """

    asked: int
    refused: list[RefusedOne]
    next: str | None


@operation(needs=Role.VIEWER, query=LetterQuery, answer=LetterPage, problems=(400,))
async def list_dead_letters(call: Call[LetterQuery, Nothing]) -> LetterPage:
    """Lists the runs that wait for a person, with their dead letters."""
    hub = call.hub
    limit = page_length(call.query.limit, hub.limits.page)
    records = await hub.store.runs(_filter(call.query), limit)
    runs = []
    for record in records:
        try:
            runs.append(_stopped_run(await inspect(hub.store, hub.processes, record.key)))
        except NotFound:
            continue
    return LetterPage(runs, _next(records, limit))


@operation(
    needs=Role.OPERATOR, body=RetryMany, answer=AskedMany, status=202, problems=(400, 413, 415, 422)
)
async def retry_many(call: Call[Nothing, RetryMany]) -> AskedMany:
    """Tries the dead letters of many runs again."""
    command = Retry(step=call.body.step, by=call.caller.name)
    return await _ask_many(call.hub, call.body, command)


@operation(
    needs=Role.OPERATOR, body=SkipMany, answer=AskedMany, status=202, problems=(400, 413, 415, 422)
)
async def skip_many(call: Call[Nothing, SkipMany]) -> AskedMany:
    """Gives the result of one step for many runs and goes on."""
    command = Skip(step=call.body.step, result=call.body.result, by=call.caller.name)
    return await _ask_many(call.hub, call.body, command)


@operation(
    needs=Role.OPERATOR,
    body=CancelMany,
    answer=AskedMany,
    status=202,
    problems=(400, 413, 415, 422),
)
async def cancel_many(call: Call[Nothing, CancelMany]) -> AskedMany:
    """Ends many stopped runs."""
    command = Cancel(call.body.reason, call.caller.name, call.body.undo)
    return await _ask_many(call.hub, call.body, command)


def _filter(wanted: LetterQuery | Selection) -> RunFilter:
    return RunFilter(
        process=wanted.process,
        source=wanted.source,
        status="stopped",
        since=milliseconds(wanted.since, "since"),
        until=milliseconds(wanted.until, "until"),
        before=None if wanted.before is None else key_in_query(wanted.before, "before"),
    )


def _next(records: list[RunRecord], limit: int) -> str | None:
    return id_of(records[-1].key) if len(records) == limit else None


def _stopped_run(inspected: Inspected) -> StoppedRun:
    record, run = inspected.record, inspected.run
    letters = []
    for visit in run.dead if run is not None else ():
        kind = visit.error.kind if visit.error is not None else ""
        message = visit.error.message if visit.error is not None else ""
        letters.append(Letter(visit.step, visit.number, visit.attempt, kind, message))
    return StoppedRun(
        run=id_of(record.key),
        source=record.source,
        process=record.process,
        version=inspected.version,
        accepted_at=moment(record.accepted_at),
        because=inspected.view().because,
        letters=letters,
    )


async def _ask_many(hub: Hub, wanted: Selection, command: Command) -> AskedMany:
    most = hub.limits.bulk_runs
    limit = most if wanted.limit is None else wanted.limit
    if limit > most:
        raise Problem(422, "wrong-body", f"limit is at most {most:,} (limit bulk_runs).")
    records = await hub.store.runs(_filter(wanted), limit)
    refused: list[RefusedOne] = []
    for start in range(0, len(records), _AT_ONCE):
        answers = await asyncio.gather(
            *(_ask_one(hub, record, command) for record in records[start : start + _AT_ONCE])
        )
        refused.extend(answer for answer in answers if answer is not None)
    hub.wake_runs()
    return AskedMany(len(records) - len(refused), refused, _next(records, limit))


async def _ask_one(hub: Hub, record: RunRecord, command: Command) -> RefusedOne | None:
    try:
        why_not = (await inspect(hub.store, hub.processes, record.key)).refusal(command)
        if not why_not:
            await post_command(hub, record.key, command)
    except NotFound:
        why_not = "there is no such run any more"
    return RefusedOne(id_of(record.key), why_not) if why_not else None
