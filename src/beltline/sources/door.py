"""The door by which sources that fetch for themselves bring requests in, and how they take turns.

A webhook is called from outside; every other kind of source is a feed, which looks for itself:

    feed ──offer──> door ──> request ──> intake ──> commit ──> the feed tells its origin

What a feed brings is durable when `offer` returns, and not before: only then is a message
acknowledged, a mail flagged, a cursor moved on. Whatever happens in between is offered again, and
recognised by its identity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.definition.source import Source
from beltline.engine.backlogs import Backlogs
from beltline.engine.intake import Intake
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import NewRequest, Repeat
from beltline.engine.work import Accepted, Refused
from beltline.sources.firing import Firing
from beltline.sources.notes import Came, Notes, came_as_value
from beltline.sources.refusal import RequestRefused, identity_taken
from beltline.sources.request import Offered, check_value, new_request

IDENTITY_MS = 30 * 86_400_000  # how long a feed's own identities are told apart
MEMORY = "source"  # the space of what feeds remember


class NotTaken(Exception):
    """The world: the request cannot be stored now. Offer it again later."""


class FeedTrouble(Exception):
    """The world: a look came to nothing, for the reason that the text tells. The next one is not
    before `after_s` seconds have passed, where the other side said so.
    """

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Feed(Protocol):
    """A source that looks for itself. Made by `feed_of`."""

    async def run(self) -> None:
        """Looks for as long as it is let. It may raise whatever goes wrong: it is run again after
        a while, and the reason is shown.
        """
        ...


class Offering(msgspec.Struct, frozen=True):
    """One request that a feed brings, as `Door.offer` takes it. Where two have one `identity`, they
    are the same if their `state` is, or, without it, their value.
    """

    value: Any
    meta: dict[str, Any] = {}
    identity: str | None = None
    identity_ms: int = IDENTITY_MS
    state: str | None = None


class FeedState(msgspec.Struct):
    """What a feed did on this node since its start; times are Unix milliseconds, None for never.

    `looked_at` is when a look, or a connection, last went well; `error` is what went wrong last,
    whether or not it `is_failing` still; `refused` counts what will never be taken.
    """

    looked_at: int | None = None
    brought_at: int | None = None
    brought: int = 0
    refused: int = 0
    refusal: str = ""
    error: str = ""
    error_at: int | None = None
    is_failing: bool = False


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
        backlogs: Backlogs | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.source = source
        self.state = FeedState()
        self.firing = Firing(source, store, intake.new_key, newest, holds, limits)
        self._store = store
        self._intake = intake
        self._newest = newest
        self._holds = holds
        self._limits = limits
        self._backlogs = backlogs
        self._notes = notes

    async def offer(
        self, value: Any, *, meta: dict[str, Any] | None = None, identity: str | None = None
    ) -> Accepted | Repeat:
        """Takes a request in; `value` is JSON. `identity` is what its origin calls it, by which a
        repeat is told where the source's file says nothing of it. Raises `RequestRefused` for one
        that will never be taken, `NotTaken` for one that may be taken later.
        """
        [answer] = await self.offer_many([Offering(value, meta or {}, identity)])
        if isinstance(answer, RequestRefused):
            raise answer
        return answer

    async def offer_many(
        self, offerings: Sequence[Offering]
    ) -> list[Accepted | Repeat | RequestRefused]:
        """Takes requests in, in their order and with one wait for all that there is room for. Gives
        the answer to each. Raises `NotTaken` where any may be taken later: the others may have been
        taken.
        """
        given: list[Accepted | Repeat | RequestRefused] = []
        while len(given) < len(offerings):
            held = await self._holds(self.source)
            room = await self._room() if held else None
            given += await self._offer_some(offerings[len(given) :][:room], held)
        for offering, answer in zip(offerings, given, strict=True):
            if isinstance(answer, RequestRefused):
                self.note(answer, offering.value, offering.meta)
        return given

    async def _room(self) -> int | None:
        """How many more the source's buffer holds; None where it has no bound."""
        room = None if self._backlogs is None else await self._backlogs.room(self.source)
        if room is not None and room < 1:
            raise NotTaken("as many requests wait already as the source's backlog holds")
        return room

    async def _offer_some(
        self, offerings: Sequence[Offering], held: bool
    ) -> list[Accepted | Repeat | RequestRefused]:
        prepared = [self._prepared(one, held) for one in offerings]
        # Each is handed over before any is waited for, so that they keep their order.
        waiting = [
            self._intake.submit(*one) for one in prepared if not isinstance(one, RequestRefused)
        ]
        answers = iter(await asyncio.gather(*waiting))
        given: list[Accepted | Repeat | RequestRefused] = []
        for one in prepared:
            if isinstance(one, RequestRefused):
                given.append(one)
                continue
            answer = next(answers)
            if isinstance(answer, Refused):
                raise NotTaken(answer.reason)
            if isinstance(answer, Accepted):
                self.brought()
                if held and self._backlogs is not None:
                    self._backlogs.accepted(self.source)
            elif self.source.identity is not None and not answer.same_body:
                given.append(identity_taken())
                continue
            given.append(answer)
        return given

    def _prepared(
        self, offering: Offering, held: bool
    ) -> tuple[NewRequest, int, Process | None] | RequestRefused:
        key, at = self._intake.new_key()
        told = None if offering.identity is None else (offering.identity, offering.identity_ms)
        try:
            body = check_value(offering.value, self._limits)
            offered = Offered(offering.value, body, at, key, offering.meta, told, offering.state)
            request = new_request(self.source, offered, held=held, limits=self._limits)
        except RequestRefused as refused:
            return refused
        if held:
            return request, 0, None
        try:
            return request, *self._newest(request.process)
        except (NotFound, VersionUnusable) as why:
            raise NotTaken(f"there is no process to start: {why}") from why

    async def turn(self, every_ms: int) -> bool:
        """Whether it is this node's turn to look: one of all nodes gets it, once in `every_ms`."""
        return await self.wait_for_turn(every_ms) == 0

    async def wait_for_turn(self, every_ms: int, *, what: str = "look", at_most: int = 1) -> int:
        """The same: 0 where it is its turn, else the time (ms) after which it may be. There may be
        other things than to look, and more than one turn in `every_ms`.
        """
        allowance = await self._store.allow(f"{what} {self.source.name}", 1, at_most, every_ms)
        return 0 if allowance.granted else max(1, allowance.next_at - allowance.at)

    async def cursor(self) -> Any:
        """What `move_on` kept last; None at first."""
        kept = await self._store.value(MEMORY, self.source.name, self._intake.new_key()[1])
        return None if kept is None else msgspec.json.decode(kept)

    async def move_on(self, cursor: Any) -> None:
        """Keeps how far the feed has come, as a JSON value."""
        await self._store.put_value(MEMORY, self.source.name, msgspec.json.encode(cursor), None)

    # What people see of it

    def looked(self) -> None:
        """A look, or a connection, went well."""
        self.state.looked_at = self._intake.new_key()[1]
        self.state.is_failing = False

    def refused(self, why: str) -> None:
        """Something came that will never be taken."""
        self.state.refused += 1
        self.state.refusal = why

    def note(
        self, refused: RequestRefused, value: Any = None, meta: dict[str, Any] | None = None
    ) -> None:
        """Keeps the verdict of something that came; None where it has no value. What is refused
        after it was offered is noted already.
        """
        name = self.source.name
        if self._notes is not None and self._notes.take_slot(name):
            came = Came(meta or {}) if value is None else came_as_value(value, meta or {})
            key, _ = self._intake.new_key()
            told = (refused.status, refused.kind, refused.detail)
            self._notes.refused(name, key, came, *told)

    def brought(self) -> None:
        """A request was taken in."""
        self.state.brought += 1
        self.state.brought_at = self._intake.new_key()[1]
        self.state.is_failing = False
