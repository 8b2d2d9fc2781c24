"""Operations on sources and their buffers: what comes in, what is held back, and letting it go."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.feeds import FeedView, feed_view
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.definition.source import Source
from beltline.definition.webhook import (
    Verify,
    VerifyBearer,
    VerifyHmac,
    VerifyNone,
    VerifyStandardWebhooks,
    WebhookWay,
)
from beltline.engine.buffers import PAUSED, RELEASED, Buffer
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound

_AT_ONCE = 5_000  # of one commit, so that requests that come in meanwhile hardly wait

State = Literal["paused", "released"]
Way = Literal["none", "bearer", "hmac", "standard-webhooks"]

_WAYS: dict[type[Verify], Way] = {
    VerifyNone: "none",
    VerifyBearer: "bearer",
    VerifyHmac: "hmac",
    VerifyStandardWebhooks: "standard-webhooks",
}


class SourceView(msgspec.Struct, frozen=True):
    """A source: where it is (`path`) and how its senders are verified, null for one that looks for
    itself and has a `feed`; whether it tells repeats by its file (`identity_window_ms`, null where
    it does not), and what it holds back.
    """

    source: str
    kind: str
    process: str
    path: str | None
    verify: Way | None
    identity_window_ms: int | None
    state: State
    held: int
    feed: FeedView | None


class SourceList(msgspec.Struct, frozen=True):
    """All sources, by name."""

    sources: list[SourceView]


class BufferView(msgspec.Struct, frozen=True):
    """What a source holds back. A buffer of a source that is no longer there keeps its requests."""

    source: str
    state: State
    held: int


class BufferList(msgspec.Struct, frozen=True):
    """The buffers, by source."""

    buffers: list[BufferView]


class ReleaseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many, the oldest first."""

    count: Annotated[int, Meta(ge=1, description="At most the limit `release_requests`.")]


class Released(msgspec.Struct, frozen=True):
    """How many got their run, and how many are held back still."""

    source: str
    state: State
    released: int
    held: int


@operation(needs=Role.VIEWER, answer=SourceList)
async def list_sources(call: Call[Nothing, Nothing]) -> SourceList:
    """Lists the sources."""
    sources = call.hub.sources
    return SourceList(
        [
            _source_view(call.hub, sources[buffer.source], buffer)
            for buffer in await call.hub.buffers().states()
        ]
    )


@operation(needs=Role.VIEWER, answer=BufferList)
async def list_buffers(call: Call[Nothing, Nothing]) -> BufferList:
    """Lists what each source holds back."""
    known = [
        BufferView(buffer.source, _state(buffer.state), buffer.held)
        for buffer in await call.hub.buffers().states()
    ]
    names = {view.source for view in known}
    left = [
        BufferView(name, "paused", held)
        for name, held in (await call.hub.store.held(None)).items()
        if name not in names
    ]
    return BufferList(sorted((*known, *left), key=lambda view: view.source))


@operation(needs=Role.OPERATOR, body=Nothing, answer=BufferView, problems=(404, 422))
async def pause_source(call: Call[Nothing, Nothing]) -> BufferView:
    """Holds back what the source takes in from now on."""
    hub, source = call.hub, _source(call)
    await hub.buffers().pause(source.name)
    hub.source_states.forget()
    return BufferView(source.name, "paused", await _held(hub, source))


@operation(needs=Role.OPERATOR, body=Nothing, answer=Released, problems=(404, 409, 422))
async def resume_source(call: Call[Nothing, Nothing]) -> Released:
    """Lets go of all that the source holds back, and holds back nothing any more."""
    hub, source = call.hub, _source(call)
    _require_process(hub, source)  # first: a pause must not end with nowhere to go
    try:
        released = await hub.buffers().resume(source.name)
    finally:
        hub.source_states.forget()
        hub.wake_runs()
    return Released(source.name, "released", released, await _held(hub, source))


@operation(needs=Role.OPERATOR, body=ReleaseBody, answer=Released, problems=(404, 409, 422))
async def release_requests(call: Call[Nothing, ReleaseBody]) -> Released:
    """Lets go of the oldest requests that the source holds back."""
    hub, source = call.hub, _source(call)
    most = hub.limits.release_requests
    if call.body.count > most:
        raise Problem(422, "wrong-body", f"count is at most {most:,} (limit release_requests).")
    _require_process(hub, source)
    buffers, count, released = hub.buffers(), call.body.count, 0
    while released < count:
        limit = min(_AT_ONCE, count - released)
        number = await buffers.release(source.name, limit)
        released += number
        hub.wake_runs()
        if number < limit:
            break
    state = PAUSED if await hub.holds_back(source) else RELEASED
    return Released(source.name, _state(state), released, await _held(hub, source))


def _source_view(hub: Hub, source: Source, buffer: Buffer) -> SourceView:
    identity, way = source.identity, source.way
    return SourceView(
        source=source.name,
        kind=source.kind,
        process=", ".join(source.processes),
        path=f"/in/{source.name}" if isinstance(way, WebhookWay) else None,
        verify=_WAYS[type(way.verify)] if isinstance(way, WebhookWay) else None,
        identity_window_ms=None if identity is None else identity.window_ms,
        state=_state(buffer.state),
        held=buffer.held,
        feed=feed_view(hub, source.name),
    )


def _state(state: str) -> State:
    return "paused" if state == PAUSED else "released"


def _source(call: Call[Any, Any]) -> Source:
    source = call.hub.sources.get(call.path["source"])
    if source is None:
        raise Problem(404, "no-such-source", "There is no source of this name.")
    return source


async def _held(hub: Hub, source: Source) -> int:
    return (await hub.store.held(source.name)).get(source.name, 0)


def _require_process(hub: Hub, source: Source) -> None:
    try:
        hub.processes.newest(source.processes[0])
    except (NotFound, VersionUnusable) as why:
        raise Problem(
            409,
            "no-such-process",
            f"The requests of {source.name} have no process to go through: {str(why)[:500]}."
            f" Publish {source.processes[0]} first.",
        ) from why
