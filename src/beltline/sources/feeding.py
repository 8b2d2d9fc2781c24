"""Keeps the feeds of a node running, and tells how they fare.

A feed that raises is run again, after a wait that doubles up to a minute. Why is logged when it
changes, not at every try, and stays to be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from beltline.definition.source import Source
from beltline.engine.ports import Bell, Clock, StoreAway, StoreBroken, StoreFull
from beltline.sdk import ClientFailed
from beltline.sources.door import Door, Feed, FeedState, FeedTrouble, NotTaken
from beltline.sources.reception import NoProcess
from beltline.sources.refusal import RequestRefused

_log = structlog.get_logger(__name__)

FIRST_MS = 1_000
MOST_MS = 60_000
ASKED_MOST_MS = 3_600_000  # how long another side may ask to be left alone
_REASON_CHARACTERS = 500
# What says itself what is wrong; anything else is told with its type.
_PLAIN = (
    *(FeedTrouble, ClientFailed, NotTaken, NoProcess, RequestRefused),
    *(StoreAway, StoreFull, StoreBroken),
)

Make = Callable[[Source, Door], Feed | None]


class Feeds:
    """The feeds of one node. `clean` takes secrets out of a reason."""

    def __init__(
        self,
        make: Make,
        clock: Clock,
        new_bell: Callable[[], Bell],
        clean: Callable[[str], str] = str,
    ) -> None:
        self._make = make
        self._clock = clock
        self._new_bell = new_bell
        self._clean = clean
        self._doors: dict[str, Door] = {}
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, doors: list[Door]) -> None:
        """Begins to look for every source that has a feed."""
        for door in doors:
            name = door.source.name
            self._doors[name] = door
            self._tasks[name] = asyncio.create_task(self._keep(door), name=f"feed {name}")

    def stop_soon(self) -> None:
        """Nothing more is to be looked for; what is under way is given up, and found again by the
        next start.
        """
        for task in self._tasks.values():
            task.cancel()

    async def stop(self) -> None:
        """Returns when every feed has ended."""
        self.stop_soon()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    def is_running(self, source: str) -> bool:
        """Whether the source's feed looks, or is to try again."""
        task = self._tasks.get(source)
        return task is not None and not task.done()

    def state(self, source: str) -> FeedState | None:
        """How the source's feed fares; None where it has none here."""
        door = self._doors.get(source)
        return None if door is None else door.state

    def feed(self, source: str) -> Feed | None:
        """The source's feed; None where it has none here, or none yet."""
        return self._feeds.get(source)

    async def _keep(self, door: Door) -> None:
        wait_ms, bell, feed = FIRST_MS, self._new_bell(), None
        while True:
            begun_at = self._clock.now()
            asked_ms = 0
            try:
                if feed is None:
                    feed = self._make(door.source, door)
                if feed is not None:
                    self._feeds[door.source.name] = feed
                else:
                    del self._doors[door.source.name]  # it waits for senders
                    return
                await feed.run()
                reason = "the feed ended by itself"
            except Exception as error:  # noqa: BLE001 - a feed may meet anything outside
                reason = self._told(error)
                if isinstance(error, FeedTrouble):
                    asked_ms = min(round(error.after_s * 1_000), ASKED_MOST_MS)
            self._failed(door, reason)
            if self._clock.now() - begun_at > MOST_MS:
                wait_ms = FIRST_MS  # it went well for a while
            await bell.wait(self._clock.now() + max(wait_ms, asked_ms))
            wait_ms = min(2 * wait_ms, MOST_MS)

    def _told(self, error: Exception) -> str:
        words = str(error) or type(error).__name__
        if not isinstance(error, _PLAIN):
            words = f"{type(error).__name__}: {error}"
        return self._clean(words)[:_REASON_CHARACTERS]

    def _failed(self, door: Door, reason: str) -> None:
        state = door.state
        if not state.is_failing or state.error != reason:
            _log.warning("a source cannot be looked at", source=door.source.name, reason=reason)
        state.error, state.error_at, state.is_failing = reason, self._clock.now(), True
