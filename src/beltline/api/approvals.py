"""Operations on approvals: what waits for a person, and deciding it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.approval_link import path_of
from beltline.api.events import place_of
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.runs import Asked, PageLength, ask, page_length
from beltline.core.explanation import moment
from beltline.core.inputs import Resolve
from beltline.core.visit import Visit
from beltline.engine.event_store import ExpectationFilter
from beltline.engine.ids import id_of
from beltline.engine.inspection import inspect
from beltline.engine.records import Expectation


class Approval(msgspec.Struct, frozen=True):
    """What a person is to decide: `title`, `text`, and the titles of `fields` to fill in. It waits
    since `since` and until `until` (null: for as long as it takes). `link` needs no account and is
    good once; null where this hub makes none.
    """

    run: str
    process: str
    step: str
    visit: int
    title: str
    text: str
    fields: dict[str, str]
    since: str
    until: str | None
    link: str | None


class ApprovalPage(msgspec.Struct, frozen=True):
    """What waits, the oldest run first; `next` is the `after` of the next page."""

    approvals: list[Approval]
    next: str | None


class ApprovalQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page; `after` is what the page before gave as `next`."""

    after: str | None = None
    limit: PageLength | None = None


class ResolveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which step is decided (its `visit` where several wait), a comment, and what is `given` for
    its fields.
    """

    step: str
    visit: int | None = None
    comment: Annotated[str, Meta(max_length=10_000)] = ""
    given: dict[str, Any] = {}


@operation(needs=Role.OPERATOR, query=ApprovalQuery, answer=ApprovalPage, problems=(400,))
async def list_approvals(call: Call[ApprovalQuery, Nothing]) -> ApprovalPage:
    """Lists what waits for a person to decide."""
    hub, query = call.hub, call.query
    limit = page_length(query.limit, hub.limits.page)
    after = None if query.after is None else place_of(query.after)
    found = await hub.store.expectations(ExpectationFilter("approval", after=after), limit)
    shown = [approval for one in found if (approval := await approval_of(hub, one)) is not None]
    last = found[-1] if len(found) == limit else None
    following = None if last is None else f"{id_of(last.key)}/{last.step}/{last.visit}"
    return ApprovalPage(shown, following)


async def approval_of(hub: Hub, one: Expectation) -> Approval | None:
    """What is to be decided; None where it was a moment ago, or its run cannot be read."""
    inspected = await inspect(hub.store, hub.processes, one.key)
    visit = None if inspected.run is None else inspected.run.open.get((one.step, one.visit))
    if not is_open(visit):
        return None
    assert visit is not None
    id = id_of(one.key)
    return Approval(
        run=id,
        process=inspected.record.process,
        step=one.step,
        visit=one.visit,
        title=one.name,
        text=visit.input.get("text", ""),
        fields=visit.input.get("fields", {}),
        since=moment(one.at),
        until=moment(visit.at) if visit.at else None,
        link=path_of(hub.link_key, id, one.step, one.visit),
    )


def is_open(visit: Visit | None) -> bool:
    """Whether a visit waits for a person."""
    return visit is not None and visit.awaits is not None and visit.awaits.kind == "approval"


@operation(
    needs=Role.OPERATOR,
    body=ResolveBody,
    answer=Asked,
    status=202,
    problems=(404, 409, 413, 415, 422),
)
async def approve_step(call: Call[Nothing, ResolveBody]) -> Asked:
    """Approves what a step waits for."""
    return await _resolve(call, approved=True)


@operation(
    needs=Role.OPERATOR,
    body=ResolveBody,
    answer=Asked,
    status=202,
    problems=(404, 409, 413, 415, 422),
)
async def reject_step(call: Call[Nothing, ResolveBody]) -> Asked:
    """Rejects what a step waits for."""
    return await _resolve(call, approved=False)


async def _resolve(call: Call[Nothing, ResolveBody], *, approved: bool) -> Asked:
    body, by = call.body, call.caller.name
    given = Resolve(body.step, approved, body.visit, body.comment, body.given, by)
    return await ask(call, given)
