"""The door by which sources that fetch for themselves bring requests in, and how they take turns.

A webhook is called from outside; every other kind of source is a feed, which looks for itself:

    feed ──offer──> door ──> request ──> intake ──> commit ──> the feed tells its origin

What a feed brings is durable when `offer` returns, and not before: only then is a message
acknowledged, a mail flagged, a cursor moved on. Whatever happens in between is offered again, and
recognised by its identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from beltline.core.limits import Limits
from beltline.definition.source import Source
from beltline.engine.ports import Clock, Store
from beltline.engine.records import NewRequest, Repeat
from beltline.engine.work import Accepted, Refused
from beltline.sources.firing import Firing
from beltline.sources.notes import Came, Notes, came_as_value
from beltline.sources.reception import BacklogFull, NoProcess, Reception
from beltline.sources.refusal import RequestRefused, identity_taken
from beltline.sources.request import Offered, check_value, new_request

IDENTITY_MS = 30 * 86_400_000  # how long a feed's own identities are told apart
MEMORY = "hub:source"  # the space of what feeds remember


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
    are the same if their `state` is, or, without it, their value. Another one is refused where the
    identity `is_claimed` by a sender, as one that the source's file declares; else it is a repeat.
    """

    value: Any
    meta: dict[str, Any] = {}
    identity: str | None = None
    identity_ms: int = IDENTITY_MS
    state: str | None = None
    is_claimed: bool = False


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
        reception: Reception,
        firing: Firing,
        store: Store,
        clock: Clock,
        notes: Notes,
        limits: Limits,
        *,
        is_bounded: bool = True,
    ) -> None:
        self.source = source
        self.state = FeedState()
        self.firing = firing
        self._reception = reception
        self._store = store
        self._clock = clock
        self._notes = notes
        self._limits = limits
        self._is_bounded = is_bounded

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
        held = await self._reception.holds_back(self.source)
        prepared = [self._prepared(one, held) for one in offerings]
        answers = iter(
            await self._take_in([one for one in prepared if not isinstance(one, RequestRefused)])
        )
        given = [
            one if isinstance(one, RequestRefused) else self._told(offering, next(answers))
            for offering, one in zip(offerings, prepared, strict=True)
        ]
        for offering, answer in zip(offerings, given, strict=True):
            if isinstance(answer, RequestRefused):
                self.note(answer, offering.value, offering.meta)
        return given

    async def _take_in(self, requests: list[NewRequest]) -> list[Accepted | Repeat]:
        taken: list[Accepted | Repeat] = []
        while len(taken) < len(requests):
            try:
                answers = await self._reception.take_in_some(
                    self.source, requests[len(taken) :], is_bounded=self._is_bounded
                )
            except (BacklogFull, NoProcess) as why:
                raise NotTaken(str(why)) from why
            for answer in answers:
                if isinstance(answer, Accepted):
                    self.brought()
            for answer in answers:
                if isinstance(answer, Refused):
                    raise NotTaken(answer.reason)
                taken.append(answer)
        return taken

    def _prepared(self, offering: Offering, held: bool) -> NewRequest | RequestRefused:
        key, at = self._reception.new_key()
        told = None if offering.identity is None else (offering.identity, offering.identity_ms)
        try:
            body = check_value(offering.value, self._limits)
            offered = Offered(offering.value, body, at, key, offering.meta, told, offering.state)
            return new_request(self.source, offered, held=held, limits=self._limits)
        except RequestRefused as refused:
            return refused

    def _told(
        self, offering: Offering, answer: Accepted | Repeat
    ) -> Accepted | Repeat | RequestRefused:
        is_claimed = offering.is_claimed or self.source.identity is not None
        if is_claimed and isinstance(answer, Repeat) and not answer.same_body:
            return identity_taken(answer.key)
        return answer

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
        kept = await self._store.value(MEMORY, self.source.name, self._clock.now())
        return None if kept is None else msgspec.json.decode(kept)

    async def move_on(self, cursor: Any) -> None:
        """Keeps how far the feed has come, as a JSON value."""
        await self._store.put_value(MEMORY, self.source.name, msgspec.json.encode(cursor), None)

    # What people see of it

    def looked(self) -> None:
        """A look, or a connection, went well."""
        self.state.looked_at = self._clock.now()
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
        if self._notes.take_slot(name):
            came = Came(meta or {}) if value is None else came_as_value(value, meta or {})
            key, _ = self._reception.new_key()
            told = (refused.status, refused.kind, refused.detail)
            self._notes.refused(name, key, came, *told)

    def brought(self) -> None:
        """A request was taken in."""
        self.state.brought += 1
        self.state.brought_at = self._clock.now()
        self.state.is_failing = False
