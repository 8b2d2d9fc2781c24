"""Operations on all that came in lately: accepted, repeated and refused, and accepting by hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem, problem_of, unavailable
from beltline.api.runs import (
    Moment,
    PageLength,
    key_in_query,
    milliseconds,
    page_length,
)
from beltline.core.explanation import moment
from beltline.definition.source import Source
from beltline.engine.ids import id_of, key_of, time_of
from beltline.engine.recent import VerdictName, recent
from beltline.engine.records import RunRecord
from beltline.engine.verdict_store import Verdict
from beltline.sources.by_hand import read_again, vouched_for
from beltline.sources.door import NotTaken
from beltline.sources.refusal import RequestRefused

RequestId = Annotated[str, Meta(description="The id of a request.")]


class RequestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests. `before` is the id that the page before ended with."""

    source: str | None = None
    verdict: VerdictName | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: RequestId | None = None
    limit: PageLength | None = None


class Refusal(msgspec.Struct, frozen=True):
    """What its sender was answered: the status, the mistake's name for programs, and the words."""

    status: int
    kind: str
    detail: str


class CameIn(msgspec.Struct, frozen=True):
    """A request that came in, and what became of it: accepted (`process`, and the `status` of its
    run, `held` while it waits in a buffer), a duplicate of another one (`duplicate_of`), or refused
    (`refusal`), and perhaps taken in by a person after all (`accepted_as`, `accepted_by`).
    """

    id: str
    source: str
    came_at: str
    verdict: VerdictName
    process: str | None = None
    status: str | None = None
    duplicate_of: str | None = None
    refusal: Refusal | None = None
    accepted_as: str | None = None
    accepted_by: str | None = None


class CameInPage(msgspec.Struct, frozen=True):
    """Requests, newest first; `next` is the `before` of the next page, null at the end."""

    requests: list[CameIn]
    next: str | None


class WholeRequest(msgspec.Struct, frozen=True):
    """A request with what came. `request` is its value as a process sees it, null where it cannot
    be read; `text` is what came where that can be shown and is no JSON. `size` counts its bytes,
    null where they were not read; `has_body` tells whether they are kept. `meta` holds headers
    without what proves a sender, and of the others the names alone.
    """

    came: CameIn
    meta: dict[str, Any]
    request: Any
    text: str | None
    content_type: str
    size: int | None
    has_body: bool


class AcceptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Takes a refused request in; with `request` this value in the place of what came."""

    request: Any = None


class TakenIn(msgspec.Struct, frozen=True):
    """The request that was made of it, also where that was done before."""

    request: str
    accepted_by: str


@operation(needs=Role.VIEWER, query=RequestQuery, answer=CameInPage, problems=(400,))
async def list_requests(call: Call[RequestQuery, Nothing]) -> CameInPage:
    """Lists what came in, with its verdict. What was refused is listed for some days."""
    hub, query = call.hub, call.query
    limit = page_length(query.limit, hub.limits.page)
    found = await recent(
        hub.store,
        limit,
        source=query.source,
        verdict=query.verdict,
        since=milliseconds(query.since, "since"),
        until=milliseconds(query.until, "until"),
        before=None if query.before is None else key_in_query(query.before, "before"),
    )
    page = [_accepted(one) if isinstance(one, RunRecord) else _judged(one) for one in found]
    return CameInPage(page, page[-1].id if len(page) == limit else None)


@operation(needs=Role.VIEWER, answer=WholeRequest, problems=(404,))
async def show_request(call: Call[Nothing, Nothing]) -> WholeRequest:
    """Shows a request whole: what came, and what became of it."""
    hub, key = call.hub, _key(call)
    for stored in await hub.store.requests([key]):
        record, _ = await hub.store.run(key)
        return WholeRequest(
            came=_accepted(record),
            meta=orjson.loads(stored.meta),
            request=orjson.loads(stored.body),
            text=None,
            content_type="application/json",
            size=len(stored.body),
            has_body=True,
        )
    verdict = await _verdict(hub, key)
    value, text = None, None
    source = hub.sources.get(verdict.source)
    if verdict.body is not None:
        try:
            if source is not None:
                value = read_again(verdict, source, hub.limits).offered.value
        except RequestRefused:
            text = verdict.body.decode("utf-8", "replace")
    return WholeRequest(
        came=_judged(verdict),
        meta=orjson.loads(verdict.meta),
        request=value,
        text=text,
        content_type=verdict.content_type,
        size=verdict.size,
        has_body=verdict.body is not None,
    )


@operation(
    needs=Role.OPERATOR,
    body=AcceptBody,
    answer=TakenIn,
    status=202,
    problems=(404, 409, 413, 415, 422, 503),
)
async def accept_request(call: Call[Nothing, AcceptBody]) -> TakenIn:
    """Takes a refused request in after all: nobody verifies its sender again, all else is as for
    any other request. It is taken in once, however often this is asked.
    """
    hub, by = call.hub, call.caller.name
    verdict = await _verdict(hub, _key(call))
    if verdict.settled_as is not None:
        return TakenIn(id_of(verdict.settled_as), verdict.settled_by)
    if verdict.of is not None:
        raise Problem(
            409,
            "not-refused",
            f"This request is a duplicate of {id_of(verdict.of)}, which is here.",
        )
    source = hub.sources.get(verdict.source)
    if source is None:
        raise Problem(409, "no-such-source", f"There is no source {verdict.source} any more.")
    key = await _take_in(hub, verdict, source, call.body.request, by)
    await hub.store.settle_verdict(verdict.key, key, by)
    hub.wake_runs()
    return TakenIn(id_of(key), by)


async def _take_in(hub: Hub, verdict: Verdict, source: Source, instead: Any, by: str) -> bytes:
    """Offers it to its source; gives the key of the request that was made of it, now or before."""
    try:
        taken = read_again(verdict, source, hub.limits, instead)
        await hub.blobs.keep({file.id: file.content for file in taken.files})
        offering = vouched_for(taken.offered, verdict, by)
        answer = (await hub.door(source, is_bounded=False).offer_many([offering]))[0]
    except RequestRefused as refused:
        raise problem_of(refused) from refused
    except (NotTaken, OSError) as why:
        raise unavailable("not-accepting", f"The request cannot be stored now: {why}.") from why
    if isinstance(answer, RequestRefused):
        raise problem_of(answer)
    return answer.key


def _key(call: Call[Nothing, Any]) -> bytes:
    key = key_of(call.path["id"])
    if key is None:
        raise _no_request()
    return key


async def _verdict(hub: Hub, key: bytes) -> Verdict:
    verdict = await hub.store.verdict(key)
    if verdict is None:
        raise _no_request()
    return verdict


def _no_request() -> Problem:
    return Problem(
        404,
        "no-such-request",
        "There is no request with this id, or it was refused and is not kept any more.",
    )


def _accepted(record: RunRecord) -> CameIn:
    return CameIn(
        id_of(record.key),
        record.source,
        moment(record.accepted_at),
        "accepted",
        process=record.process,
        status="held" if record.version_id is None else record.status,
    )


def _judged(verdict: Verdict) -> CameIn:
    refusal = Refusal(verdict.status, verdict.kind, verdict.detail)
    return CameIn(
        id_of(verdict.key),
        verdict.source,
        moment(time_of(verdict.key)),
        verdict.outcome,
        duplicate_of=None if verdict.of is None else id_of(verdict.of),
        refusal=refusal if verdict.outcome == "refused" else None,
        accepted_as=None if verdict.settled_as is None else id_of(verdict.settled_as),
        accepted_by=verdict.settled_by or None,
    )
