"""A source of the kind `bitrix24` at work: events ring, a look asks, the cursor follows.

    event ──ring──> look: records since the cursor ──offer──> commit ──> the new cursor
      └─ of what no list can tell: offered at once, before the portal has its answer

A portal sends an event once at most. So an event only says that it is worth looking now: whatever
is not heard is found by the next look, and what is found twice is told by its identity.

How far it has come is kept for each kind of record, by the portal's own clock:

    whole look    all that changed since the whole look before, and a minute more
    after a ring  all that changed since the look before, and some seconds more

What becomes visible late, because the portal was long about storing it, is found by the former.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
import structlog

from beltline.definition.bitrix24 import Bitrix24Way, RecordKind
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted
from beltline.sdk.bitrix24 import PortalRefused
from beltline.sources.bitrix24.events import PortalEvent
from beltline.sources.bitrix24.listing import Listing, Page, seconds_of
from beltline.sources.bitrix24.rings import Asked, Rings
from beltline.sources.door import Door, FeedTrouble, Offering
from beltline.sources.json_body import canonical
from beltline.sources.refusal import RequestRefused
from beltline.sources.surroundings import Surroundings

_log = structlog.get_logger(__name__)

WHOLE_AGAIN_S = 60
RUNG_AGAIN_S = 5
# Younger records are offered as new ones first, whose identity tells whether they were told as
# such. It is long beside the time that looks overlap, in which a state comes again that was told as
# new, and short beside the time that identities are kept.
NEW_S = 7 * 86_400


class Look(msgspec.Struct, frozen=True):
    """A look that is under way. It asks for what changed at `since_s` or later, has done so up to
    `after_id`, and began at `at_s` (None: not yet). A record that was created at `new_since_s` or
    later is a new one, unless it was told as such before.
    """

    whole: bool
    since_s: int
    new_since_s: int
    after_id: int = 0
    at_s: int | None = None


class Kept(msgspec.Struct, frozen=True):
    """How far one kind of record has come: what changed before `at_s` was listed by a look, and
    before `whole_at_s` by a whole one. Nothing before `begun_s` counts. `look` was broken off.
    """

    begun_s: int
    at_s: int
    whole_at_s: int
    zone_min: int
    look: Look | None = None

    def next_look(self, *, whole: bool) -> Look:
        """The look that follows."""
        since_s = self.whole_at_s - WHOLE_AGAIN_S if whole else self.at_s - RUNG_AGAIN_S
        new_since_s = max(self.begun_s, since_s - NEW_S)
        return Look(whole, max(self.begun_s, since_s), new_since_s)


class _Seen(msgspec.Struct, frozen=True):
    """A record as a list has it, its times in Unix seconds."""

    id: int
    created_s: int
    updated_s: int
    record: dict[str, Any]


class Bitrix24Feed:
    """The feed of one portal. `hear` is given the events that were sent by it."""

    def __init__(
        self, way: Bitrix24Way, door: Door, around: Surroundings, rings: Rings, listing: Listing
    ) -> None:
        self._way = way
        self._door = door
        self._clock = around.clock
        self._rings = rings
        self._listing = listing
        self._kept: dict[str, Kept] = {}
        self._by_type = {kind.type_id: kind for kind in way.records}
        is_listed = bool(way.on & {"add", "update"})
        self._listed = way.records if is_listed else ()

    # Events

    async def hear(self, event: PortalEvent) -> Literal["rung", "ignored"] | Accepted | Repeat:
        """Takes an event of the portal, which was verified. Raises `RequestRefused` and `NotTaken`
        where it is a request and cannot be one, and as the store does.
        """
        if event.name in self._way.events:
            content = canonical([event.name, event.data, event.sent_s])
            told = f"event {hashlib.blake2b(content, digest_size=16).hexdigest()}"
            value = {"event": event.name, "data": event.data}
            return await self._door.offer(value, meta={"found": "event"}, identity=told)
        kind = None if event.type_id is None else self._by_type.get(event.type_id)
        if kind is None or event.change not in self._way.on:
            return "ignored"
        if event.change != "delete":
            self._rings.ring(kind.name, event.sent_s)
            return "rung"
        if event.id is None:
            raise RequestRefused(422, "no-record", "Send the record's id as data[FIELDS][ID].")
        # An id is given to one record only, so its deletion needs nothing beside to be told by.
        value = {"event": f"{kind.name}.delete", "id": event.id}
        told = f"{kind.name} {event.id} deleted"
        return await self._door.offer(value, meta={"found": "event"}, identity=told)

    # Looks

    async def run(self) -> None:
        """Looks for as long as it is let."""
        while True:
            asked = await self._rings.begin()
            await self._look(asked)
            self._rings.done()

    async def _look(self, asked: Asked) -> None:
        """Looks at each kind of record that it is about. What the portal will refuse again, such as
        a kind that this user may not see, does not keep the others from being looked at.
        """
        self._kept = msgspec.convert(await self._door.cursor() or {}, dict[str, Kept])
        refused: PortalRefused | None = None
        for kind in self._listed:
            if not asked.whole and (
                kind.name not in asked.rung or self._is_listed(kind, asked.rung[kind.name])
            ):
                continue
            try:
                await self._look_at(kind, whole=asked.whole)
            except PortalRefused as why:
                if not why.permanent:
                    raise FeedTrouble(why.reason, why.after_s or 0.0) from why
                refused = refused or why
        if refused is not None:
            raise FeedTrouble(refused.reason) from refused

    def _is_listed(self, kind: RecordKind, sent_s: int | None) -> bool:
        """Whether some look, perhaps another node's, began after the event was sent."""
        kept = self._kept.get(kind.name)
        return kept is not None and sent_s is not None and sent_s < kept.at_s

    async def _look_at(self, kind: RecordKind, *, whole: bool) -> None:
        kept = self._kept.get(kind.name)
        if kept is None:
            kept = await self._begin(kind)
            await self._keep(kind, kept)  # what happens from here on counts, crash or no crash
        if kept.look is not None and (kept.look.whole or not whole):
            kept = await self._finish(kind, kept, kept.look)
        await self._finish(kind, kept, kept.next_look(whole=whole))

    async def _begin(self, kind: RecordKind) -> Kept:
        """Where a kind begins that was never looked at."""
        start = self._way.start
        if start == "now":
            # Only the answer's time is of use: from when on changes count, by the portal's clock.
            page = await self._listing.page(kind, self._clock.now() // 1_000, 0, 0)
            now_s = page.at_s
            return Kept(now_s, now_s, now_s, page.zone_min)
        begun_s = 0 if start == "all" else start
        return Kept(begun_s, begun_s, begun_s, 0, Look(True, begun_s, begun_s))

    async def _finish(self, kind: RecordKind, kept: Kept, look: Look) -> Kept:
        """Goes through the pages of a look, or the rest of them. How far it has come is durable
        after each page: a long look that breaks off goes on from there.
        """
        rung_s: int | None = None
        while True:
            page = await self._listing.page(kind, look.since_s, look.after_id, kept.zone_min)
            rung_s = await self._bring(kind, look, page) or rung_s
            at_s = page.at_s if look.at_s is None else look.at_s
            if page.is_last:
                break
            after_id: int = page.items[-1]["id"]
            look = msgspec.structs.replace(look, after_id=after_id, at_s=at_s)
            kept = msgspec.structs.replace(kept, zone_min=page.zone_min, look=look)
            await self._keep(kind, kept)
        whole_at_s = at_s if look.whole else kept.whole_at_s
        kept = Kept(kept.begun_s, at_s, whole_at_s, page.zone_min)
        await self._keep(kind, kept)
        if rung_s is not None:
            self._rings.ring(kind.name, rung_s)
        return kept

    async def _keep(self, kind: RecordKind, kept: Kept) -> None:
        self._kept[kind.name] = kept
        await self._door.move_on(msgspec.to_builtins(self._kept))

    # Records

    async def _bring(self, kind: RecordKind, look: Look, page: Page) -> int | None:
        """Offers the records of a page, and returns when they are durable. Gives the time of one
        that has to be looked at again: the second in which it changed was not over.
        """
        added, updated, early_s = [], [], None
        for item in page.items:
            seen = self._seen(kind, item)
            if seen is None:
                continue
            if seen.updated_s >= page.at_s:
                early_s = seen.updated_s
            elif seen.created_s < look.new_since_s:
                updated.append(seen)
            elif "add" in self._way.on:
                added.append(seen)
            elif seen.updated_s > seen.created_s:
                updated.append(seen)
        found = {"found": "look" if look.whole else "event"}
        # A record that was told as added, in another state, was updated since.
        updated += await self._offer_added(kind, added, found)
        if "update" in self._way.on:
            await self._offer(
                [
                    Offering(
                        _value(kind, "update", one),
                        found,
                        f"{kind.name} {one.id} {one.updated_s}",
                    )
                    for one in updated
                ]
            )
        return early_s

    async def _offer_added(
        self, kind: RecordKind, added: list[_Seen], found: dict[str, Any]
    ) -> list[_Seen]:
        """Offers new records. Their identity has no time, so that each is told as added once,
        whatever becomes of it before the cursor has moved on; gives those that changed since.
        """
        answers = await self._offer(
            [
                Offering(
                    _value(kind, "add", one),
                    found,
                    f"{kind.name} {one.id}",
                    state=str(one.updated_s),
                )
                for one in added
            ]
        )
        return [
            one
            for one, answer in zip(added, answers, strict=True)
            if isinstance(answer, Repeat) and not answer.same_body
        ]

    async def _offer(self, offerings: list[Offering]) -> list[Accepted | Repeat | RequestRefused]:
        answers = await self._door.offer_many(offerings) if offerings else []
        for answer in answers:
            if isinstance(answer, RequestRefused):
                self._refused(answer.detail)
        return answers

    def _seen(self, kind: RecordKind, item: dict[str, Any]) -> _Seen | None:
        created_s, updated_s = (
            seconds_of(item.get("createdTime")),
            seconds_of(item.get("updatedTime")),
        )
        if created_s is None or updated_s is None:
            self._refused(f"{kind.name} {item['id']} has no createdTime or no updatedTime")
            return None
        return _Seen(item["id"], created_s, updated_s, item)

    def _refused(self, reason: str) -> None:
        """It will never be taken, so that the cursor passes it: this is where it is told."""
        if reason != self._door.state.refusal:
            _log.warning("a record is refused", source=self._door.source.name, reason=reason)
        self._door.refused(reason)


def _value(kind: RecordKind, change: str, seen: _Seen) -> dict[str, Any]:
    return {"event": f"{kind.name}.{change}", "id": seen.id, "record": seen.record}
