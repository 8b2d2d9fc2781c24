"""Operations on the requests that wait in a buffer: seeing them, letting them go, dropping them,
putting them first or last.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.buffers import Released, held_by, known_source, require_process, state_of
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.api.runs import Moment, PageLength, key_in_query, milliseconds, page_length
from beltline.core.explanation import moment
from beltline.engine.buffers import AT_ONCE
from beltline.engine.ids import id_of, key_of, time_of
from beltline.engine.records import HeldFilter, HeldRequest

Ids = Annotated[list[str], Meta(description="Ids of requests.", min_length=1, max_length=1_000)]
Count = Annotated[int, Meta(ge=1, description="At most the limit `release_requests`.")]


class WaitingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests. `after` is the `next` of the page before."""

    process: str | None = None
    key: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    after: str | None = None
    limit: PageLength | None = None


class WaitingRequest(msgspec.Struct, frozen=True):
    """A request that waits. Of one `key` it goes when the run, or the request, that it is `behind`
    has ended; `place` orders those that may go.
    """

    id: str
    process: str
    accepted_at: str
    key: str | None
    behind: str | None
    place: int
    expires_at: str | None


class WaitingPage(msgspec.Struct, frozen=True):
    """Requests in the order in which they go; `next` leads to the page after this one."""

    requests: list[WaitingRequest]
    next: str | None


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests, in their order: those of `ids`, or of a `process`, a `key` or a time; all
    where nothing is said. Not more than `count` of them.
    """

    ids: Ids | None = None
    process: str | None = None
    key: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    count: Count | None = None


class DropBody(Choice, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests are to end without being carried out, and why."""

    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Dropped(msgspec.Struct, frozen=True):
    """How many were dropped, and how many are held still."""

    source: str
    dropped: int
    held: int


class OrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests go to the first places of their buffer, or to the last."""

    ids: Ids
    to: Literal["first", "last"]


class Ordered(msgspec.Struct, frozen=True):
    """How many were moved: those that were not held any more were not."""

    source: str
    moved: int


@operation(needs=Role.VIEWER, query=WaitingQuery, answer=WaitingPage, problems=(400, 404))
async def list_waiting(call: Call[WaitingQuery, Nothing]) -> WaitingPage:
    """Lists what waits in a source's buffer, in the order in which it goes."""
    hub, query = call.hub, call.query
    filter = HeldFilter(
        known_source(call).name,
        process=query.process,
        line=query.key,
        since=milliseconds(query.since, "since"),
        until=milliseconds(query.until, "until"),
    )
    limit = page_length(query.limit, hub.limits.page)
    found = await hub.store.waiting(filter, limit, _read_after(query.after))
    end = f"{found[-1].place}.{id_of(found[-1].key)}" if len(found) == limit else None
    return WaitingPage([_shown(one) for one in found], end)


@operation(needs=Role.OPERATOR, body=Choice, answer=Released, problems=(404, 409, 422))
async def release_requests(call: Call[Nothing, Choice]) -> Released:
    """Lets requests go now, beside what the source's settings let go; none that is behind another
    one.
    """
    hub, source = call.hub, known_source(call)
    require_process(hub, source)
    filter, count = _filter(source.name, call.body), _count(call)
    buffers, released = hub.buffers(), 0
    while released < count:
        limit = min(AT_ONCE, count - released)
        number = await buffers.release(filter, limit)
        released += number
        hub.wake_runs()
        if number < limit:
            break
    return Released(source.name, await state_of(hub, source), released, await held_by(hub, source))


@operation(needs=Role.OPERATOR, body=DropBody, answer=Dropped, problems=(404, 409, 422))
async def drop_requests(call: Call[Nothing, DropBody]) -> Dropped:
    """Ends requests that wait, as cancelled: nothing of them is called, and they stay to be seen
    with the reason.
    """
    hub, source = call.hub, known_source(call)
    require_process(hub, source)
    filter, count = _filter(source.name, call.body), _count(call)
    buffers, dropped = hub.buffers(), 0
    while dropped < count:
        limit = min(AT_ONCE, count - dropped)
        number = await buffers.drop(filter, limit, reason=call.body.reason, by=call.caller.name)
        dropped += number
        hub.wake_runs()
        if number < limit:
            break
    return Dropped(source.name, dropped, await held_by(hub, source))


@operation(needs=Role.OPERATOR, body=OrderBody, answer=Ordered, problems=(404, 422))
async def order_requests(call: Call[Nothing, OrderBody]) -> Ordered:
    """Moves requests to the first places of their buffer, or to the last."""
    source = known_source(call)
    keys = _keys(call.body.ids)
    filter = HeldFilter(source.name, keys=keys)
    own = [one.key for one in await call.hub.store.waiting(filter, len(keys))]
    moved = await call.hub.store.put_first(own, first=call.body.to == "first")
    call.hub.look_at_buffers()
    return Ordered(source.name, moved)


def _filter(source: str, choice: Choice) -> HeldFilter:
    return HeldFilter(
        source,
        process=choice.process,
        line=choice.key,
        keys=None if choice.ids is None else _keys(choice.ids),
        since=milliseconds(choice.since, "since"),
        until=milliseconds(choice.until, "until"),
    )


def _count(call: Call[Nothing, Choice] | Call[Nothing, DropBody]) -> int:
    most = call.hub.limits.release_requests
    count = most if call.body.count is None else call.body.count
    if count > most:
        raise Problem(422, "wrong-body", f"count is at most {most:,} (limit release_requests).")
    return count


def _keys(ids: list[str]) -> tuple[bytes, ...]:
    keys = []
    for id in ids:
        key = key_of(id)
        if key is None:
            raise Problem(422, "wrong-body", f"{id[:100]!r} is no id of a request.")
        keys.append(key)
    return tuple(keys)


def _read_after(after: str | None) -> tuple[int, bytes] | None:
    if after is None:
        return None
    place, _, id = after.partition(".")
    try:
        return int(place), key_in_query(id, "after")
    except ValueError as wrong:
        raise Problem(400, "wrong-query", "after is no `next` of a page.") from wrong


def _shown(one: HeldRequest) -> WaitingRequest:
    return WaitingRequest(
        id_of(one.key),
        one.process,
        moment(time_of(one.key)),
        one.line or None,
        None if one.behind is None else id_of(one.behind),
        one.place,
        None if one.expires_at is None else moment(one.expires_at),
    )
