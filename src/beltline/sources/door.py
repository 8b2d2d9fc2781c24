"""The door by which sources that fetch for themselves bring requests in, and how they take turns.

A webhook is called from outside; every other kind of source is a feed, which looks for itself:

    feed ──offer──> door ──> request ──> intake ──> commit ──> the feed tells its origin

What a feed brings is durable when `offer` returns, and not before: only then is a message
acknowledged, a mail flagged, a cursor moved on. Whatever happens in between is offered again, and
recognised by its identity.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.definition.source import Source
from beltline.engine.intake import Intake
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted, Refused
from beltline.sources.json_body import canonical
from beltline.sources.request import Offered, new_request

IDENTITY_MS = 30 * 86_400_000  # how long a feed's own identities are told apart
MEMORY = "source"  # the space of what feeds remember


class NotTaken(Exception):
    """The world: the request cannot be stored now. Offer it again later."""


class Feed(Protocol):
    """A source that looks for itself. Made by `feed_of`."""

    async def run(self) -> None:
        """Looks for as long as it is let. It may raise whatever goes wrong: it is run again after
        a while, and the reason is shown.
        """
        ...


class Door:
    """What one feed is given. Raises `StoreAway` and `StoreFull` as the store does."""

    def __init__(
        self,
        source: Source,
        store: Store,
        intake: Intake,
        newest: Callable[[str], tuple[int, Process]],
        holds: Callable[[Source], Awaitable[bool]],
        limits: Limits,
    ) -> None:
        self.source = source
        self._store = store
        self._intake = intake
        self._newest = newest
        self._holds = holds
        self._limits = limits

    async def offer(
        self, value: Any, *, meta: dict[str, Any] | None = None, identity: str | None = None
    ) -> Accepted | Repeat:
        """Takes a request in; `value` is JSON. `identity` is what its origin calls it, by which a
        repeat is told where the source's file says nothing of it. Raises `RequestRefused` for one
        that will never be taken, `NotTaken` for one that may be taken later.
        """
        held = await self._holds(self.source)
        key, at = self._intake.new_key()
        told = None if identity is None else (identity, IDENTITY_MS)
        offered = Offered(value, canonical(value), at, key, meta or {}, told)
        request = new_request(self.source, offered, held=held, limits=self._limits)
        version_id, process = 0, None
        if not held:
            try:
                version_id, process = self._newest(request.process)
            except (NotFound, VersionUnusable) as why:
                raise NotTaken(f"there is no process to start: {why}") from why
        answer = await self._intake.submit(request, version_id, process)
        if isinstance(answer, Refused):
            raise NotTaken(answer.reason)
        return answer

    async def turn(self, every_ms: int) -> bool:
        """Whether it is this node's turn to look: one of all nodes gets it, once in `every_ms`."""
        name = f"look {self.source.name}"
        return (await self._store.allow(name, 1, 1, every_ms)).granted > 0

    async def cursor(self) -> Any:
        """What `move_on` kept last; None at first."""
        kept = await self._store.value(MEMORY, self.source.name, self._intake.new_key()[1])
        return None if kept is None else msgspec.json.decode(kept)

    async def move_on(self, cursor: Any) -> None:
        """Keeps how far the feed has come, as a JSON value."""
        await self._store.put_value(MEMORY, self.source.name, msgspec.json.encode(cursor), None)
