"""A source of the kind `telegram` that fetches: asks for updates and waits until there are some.

    my turn? ──> getUpdates(offset), which waits ──offer──> commit ──> the new offset
                     ^                                                      │
                     └──────────────────────────────────────────────────────┘

To ask with an offset says that all before it were received, and Telegram forgets them. So the
offset moves on when they are durable, and not before: what is in between when the hub dies comes
again, and is told by its id.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from beltline.definition.telegram import TelegramWay
from beltline.sdk.telegram import TelegramRefused, ask_telegram, json_body
from beltline.sources.door import Door, FeedTrouble
from beltline.sources.offering import Pause, offer_until_taken
from beltline.sources.refusal import RequestRefused
from beltline.sources.surroundings import Surroundings
from beltline.sources.telegram.updates import TOLD_APART_MS, Update, read_update, refused
from beltline.sources.turn import Turn

# Telegram lets one at a time ask. The turn of a node that died has to end before another's.
TURN_MS = 10_000
WAIT_S = 10
UPDATES = 40  # of one answer: with the longest texts that there are, they fit into it
_LATE_S = 10.0


class Kept(msgspec.Struct, frozen=True):
    """The offset, and when the update before it was received (Unix ms)."""

    offset: int
    at: int


class TelegramFetch:
    """The feed of one bot."""

    def __init__(
        self, way: TelegramWay, door: Door, around: Surroundings, *, pause: Pause = asyncio.sleep
    ) -> None:
        self._way = way
        self._door = door
        self._around = around
        self._pause = pause
        self._turn = Turn(door, TURN_MS, pause)

    async def run(self) -> None:
        """Fetches while it is this node's turn."""
        while True:
            await self._turn.begin()
            while await self._turn.goes_on():
                await self._fetch(max(1, min(WAIT_S, int(self._turn.left_s()))))

    async def _fetch(self, wait_s: int) -> None:
        """Takes in what there is, or comes within `wait_s`."""
        updates = await self._ask(wait_s)
        self._door.looked()
        if not updates:
            return
        wanted = [one.offering("fetched") for one in updates if one.is_one_of(self._way.updates)]
        for answer in await offer_until_taken(self._door, wanted, pause=self._pause):
            if isinstance(answer, RequestRefused):
                refused(self._door, answer)
        last = Kept(updates[-1].id + 1, self._around.clock.now())
        await self._door.move_on(msgspec.to_builtins(last))

    async def _ask(self, wait_s: int) -> list[Update]:
        asked = {"limit": UPDATES, "timeout": wait_s, "allowed_updates": list(self._way.updates)}
        offset = await self._offset()
        try:
            answer = await ask_telegram(
                self._around.http,
                self._around.account(self._way.connection),
                "getUpdates",
                json_body(asked if offset is None else {**asked, "offset": offset}),
                timeout_s=wait_s + _LATE_S,
            )
            return [read_update(one) for one in answer] if isinstance(answer, list) else _none()
        except TelegramRefused as why:
            raise FeedTrouble(why.reason, why.after_s or 0.0) from why
        except RequestRefused as wrong:
            raise FeedTrouble(f"getUpdates: {wrong.detail}") from wrong

    async def _offset(self) -> int | None:
        """None at first, and where the last update is so long ago that the ids may have begun
        anew: an offset beyond them would have Telegram forget what was never received.
        """
        cursor: Any = await self._door.cursor()
        kept = None if cursor is None else msgspec.convert(cursor, Kept)
        if kept is None or self._around.clock.now() - kept.at > TOLD_APART_MS:
            return None
        return kept.offset


def _none() -> list[Update]:
    raise FeedTrouble("the answer of getUpdates is no list of updates")
