"""Operations on sources and their buffers: what comes in, what is held back, and letting it go."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.api.access import Role
from beltline.api.feeds import FeedView, feed_view
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.core.explanation import moment
from beltline.definition.bitrix24 import Bitrix24Way
from beltline.definition.buffering import Paused
from beltline.definition.source import Source
from beltline.definition.verify import (
    Verify,
    VerifyBasic,
    VerifyBearer,
    VerifyBitrix24,
    VerifyHmac,
    VerifyNone,
    VerifySlack,
    VerifyStandardWebhooks,
)
from beltline.definition.webhook import WebhookWay
from beltline.engine.buffers import Buffer
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound
from beltline.engine.releaser import PAUSED, release_now

State = Literal["paused", "released"]
Way = Literal["none", "bearer", "basic", "hmac", "standard-webhooks", "slack", "bitrix24"]

_WAYS: dict[type[Verify], Way] = {
    VerifyNone: "none",
    VerifyBearer: "bearer",
    VerifyHmac: "hmac",
    VerifyStandardWebhooks: "standard-webhooks",
    VerifyBasic: "basic",
    VerifySlack: "slack",
    VerifyBitrix24: "bitrix24",
}


class SourceView(msgspec.Struct, frozen=True):
    """A source: where it is (`path`) and how its senders are verified, null where nobody may send;
    its `feed`, where it looks for itself; whether it tells repeats by its file
    (`identity_window_ms`, null where it does not), and what it holds back.
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
    """What a source holds back: since when the oldest waits, when something may go next, and about
    when all will have gone (null: nobody can tell). A buffer of a source that is no longer there
    keeps its requests.
    """

    source: str
    state: State
    held: int
    oldest_at: str | None = None
    next_at: str | None = None
    drained_at: str | None = None


class BufferList(msgspec.Struct, frozen=True):
    """The buffers, by source."""

    buffers: list[BufferView]


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
    known = [_buffer_view(buffer) for buffer in await call.hub.buffers().states()]
    names = {view.source for view in known}
    counts = await call.hub.held_counts.all()
    left = [
        BufferView(name, "paused", held.number)
        for name, held in counts.items()
        if name not in names
    ]
    return BufferList(sorted((*known, *left), key=lambda view: view.source))


@operation(needs=Role.OPERATOR, body=Nothing, answer=BufferView, problems=(404, 422))
async def pause_source(call: Call[Nothing, Nothing]) -> BufferView:
    """Holds back what the source takes in from now on."""
    hub, source = call.hub, known_source(call)
    await hub.buffers().pause(source.name)
    hub.look_at_buffers()
    return BufferView(source.name, "paused", await held_by(hub, source))


@operation(needs=Role.OPERATOR, body=Nothing, answer=Released, problems=(404, 409, 422))
async def resume_source(call: Call[Nothing, Nothing]) -> Released:
    """Ends a pause: the source releases again as its file says, or at once where that says
    `paused`. What may go at once goes now.
    """
    hub, source = call.hub, known_source(call)
    require_process(hub, source)  # first: a pause must not end with nowhere to go
    try:
        released = await hub.buffers().resume(source.name)
    finally:
        hub.look_at_buffers()
    return Released(source.name, "released", released, await held_by(hub, source))


def _buffer_view(buffer: Buffer) -> BufferView:
    times = (buffer.oldest_at, buffer.next_at, buffer.drained_at)
    return BufferView(
        buffer.source,
        _state(buffer.state),
        buffer.held,
        *(None if at is None else moment(at) for at in times),
    )


def _source_view(hub: Hub, source: Source, buffer: Buffer) -> SourceView:
    identity = source.identity
    return SourceView(
        source=source.name,
        kind=source.kind,
        process=", ".join(source.processes),
        path=f"/in/{source.name}" if _is_open(source) else None,
        verify=_verified_by(source),
        identity_window_ms=None if identity is None else identity.window_ms,
        state=_state(buffer.state),
        held=buffer.held,
        feed=feed_view(hub, source.name),
    )


def _is_open(source: Source) -> bool:
    """Whether somebody may send to it."""
    way = source.way
    return isinstance(way, WebhookWay) or (isinstance(way, Bitrix24Way) and way.token is not None)


def _verified_by(source: Source) -> Way | None:
    if isinstance(source.way, WebhookWay):
        return _WAYS[type(source.way.verify)]
    return "bitrix24" if _is_open(source) else None


def _state(state: str) -> State:
    return "paused" if state == PAUSED else "released"


def known_source(call: Call[Any, Any]) -> Source:
    """The source that the address names. Raises `Problem` (404)."""
    source = call.hub.sources.get(call.path["source"])
    if source is None:
        raise Problem(404, "no-such-source", "There is no source of this name.")
    return source


async def held_by(hub: Hub, source: Source) -> int:
    """How many requests a source holds."""
    return await hub.held_counts.of(source.name)


async def state_of(hub: Hub, source: Source) -> State:
    """Whether a source is paused: by a person, or by its file."""
    release = release_now(source, (await hub.source_states.get()).get(source.name))
    return "paused" if isinstance(release, Paused) else "released"


def require_process(hub: Hub, source: Source) -> None:
    """Refuses (409) where requests would have nowhere to go."""
    try:
        hub.processes.newest(source.processes[0])
    except (NotFound, VersionUnusable) as why:
        raise Problem(
            409,
            "no-such-process",
            f"The requests of {source.name} have no process to go through: {str(why)[:500]}."
            f" Publish {source.processes[0]} first.",
        ) from why
