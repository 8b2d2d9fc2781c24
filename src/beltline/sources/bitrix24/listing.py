"""Asks a portal for the records of a kind that changed since a moment, page after page.

It asks as Bitrix24 advises for large sets: in the order of ids, each page after the last id of the
one before, and without counting (`start: -1`). So a page costs the same wherever it stands, and no
record is passed over because others changed meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from beltline.definition.bitrix24 import Bitrix24Way, RecordKind
from beltline.sdk.bitrix24 import ask_portal
from beltline.sources.door import Door, FeedTrouble
from beltline.sources.surroundings import Surroundings

PAGE = 50  # of every list of a portal; a shorter one is the last
# Half of what a portal bears in the long run, for all nodes together; steps call it, too.
CALLS = 10
CALLS_MS = 10_000
_NEEDED = ("id", "createdTime", "updatedTime")


class Page(msgspec.Struct, frozen=True):
    """Records in the order of their ids. `at_s` is when the portal began to look for them, by its
    own clock (Unix seconds), `zone_min` its time zone's distance from UTC.
    """

    items: list[dict[str, Any]]
    at_s: int
    zone_min: int

    @property
    def is_last(self) -> bool:
        """Whether there is nothing after it."""
        return len(self.items) < PAGE


class Listing:
    """The lists of one portal, asked at a pace that it bears."""

    def __init__(self, way: Bitrix24Way, door: Door, around: Surroundings) -> None:
        self._way = way
        self._door = door
        self._around = around
        self._bell = around.new_bell()  # nobody rings it: it tells the time

    async def page(self, kind: RecordKind, since_s: int, after_id: int, zone_min: int) -> Page:
        """The records after an id that changed at `since_s` or later (0: all of them). Raises
        `PortalRefused` and `FeedTrouble`.
        """
        wanted = {**self._way.where, ">id": after_id}
        if since_s:
            # In the portal's own zone, so that it is right whether the portal reads zones or not.
            wanted[">=updatedTime"] = _moment(since_s, zone_min)
        await self._turn()
        answer = await ask_portal(
            self._around.http,
            self._around.account(self._way.connection),
            "crm.item.list",
            {
                "entityTypeId": kind.type_id,
                "select": list(dict.fromkeys((*_NEEDED, *self._way.fields)))
                if self._way.fields
                else ["*"],
                "filter": wanted,
                "order": {"id": "ASC"},
                "start": -1,
            },
        )
        return _page(answer)

    async def _turn(self) -> None:
        """Waits until the portal may be asked."""
        while wait_ms := await self._door.wait_for_turn(CALLS_MS, what="ask", at_most=CALLS):
            await self._bell.wait(self._around.clock.now() + wait_ms)


def _moment(at_s: int, zone_min: int) -> str:
    return datetime.fromtimestamp(at_s, timezone(timedelta(minutes=zone_min))).isoformat()


def seconds_of(moment: Any) -> int | None:
    """A time of a record in Unix seconds; None for what is none."""
    try:
        read = datetime.fromisoformat(moment)
        return None if read.tzinfo is None else int(read.timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _page(answer: dict[str, Any]) -> Page:
    result, time = answer.get("result"), answer.get("time")
    items = result.get("items") if isinstance(result, dict) else None
    if not isinstance(items, list) or not all(_is_record(one) for one in items):
        raise FeedTrouble("the answer of crm.item.list has no list of items with their ids")
    begun = time.get("start") if isinstance(time, dict) else None
    if not isinstance(time, dict) or not isinstance(begun, int | float):
        raise FeedTrouble("the answer of crm.item.list does not tell the portal's time")
    return Page(items, int(begun), _zone_min(time.get("date_start")))


def _is_record(item: Any) -> bool:
    return isinstance(item, dict) and type(item.get("id")) is int


def _zone_min(moment: Any) -> int:
    """The distance from UTC that a time is written with, in minutes."""
    try:
        offset = datetime.fromisoformat(moment).utcoffset()
    except (TypeError, ValueError):
        return 0
    return 0 if offset is None else round(offset.total_seconds() / 60)
