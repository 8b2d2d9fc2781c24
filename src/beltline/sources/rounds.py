"""When a feed looks: once in so much time, on one of all nodes."""

from __future__ import annotations

from beltline.engine.ports import Bell, Clock
from beltline.sources.door import Door


class Rounds:
    """`begin` returns when this node is to look, `done` says that the look went well. One that did
    not is begun again without a turn: nobody else looks in its place before the next one.
    """

    def __init__(self, door: Door, clock: Clock, bell: Bell, every_ms: int) -> None:
        self._door = door
        self._clock = clock
        self._bell = bell
        self._every_ms = every_ms
        self._owes = False

    async def begin(self) -> None:
        """Waits for the turn."""
        while not self._owes:
            wait_ms = await self._door.wait_for_turn(self._every_ms)
            if wait_ms:
                await self._bell.wait(self._clock.now() + wait_ms)
            else:
                self._owes = True

    def done(self) -> None:
        """The look went well."""
        self._owes = False
        self._door.looked()
