"""Which of several nodes has a connection that one at a time may have: the one whose turn it is.

A turn lasts for a while, and whoever has it asks for the next one; mostly it stays where it is. It
keeps work from being done twice, and guards nothing: requests are told apart by their identities.
"""

from __future__ import annotations

import asyncio

from beltline.sources.door import Door
from beltline.sources.offering import Pause

_EARLY = 10  # asking early by a tenth of a turn is a matter of clocks


class Turn:
    """The turns of one source on this node, each of them `every_ms` long."""

    def __init__(self, door: Door, every_ms: int, pause: Pause) -> None:
        self._door = door
        self._every_ms = every_ms
        self._pause = pause
        self._until_s = 0.0  # by the loop's clock

    def left_s(self) -> float:
        """How long the turn lasts still; nothing where this node has none."""
        return max(0.0, self._until_s - asyncio.get_running_loop().time())

    async def begin(self) -> None:
        """Returns when this node has the turn; one that it had when a connection broke goes on."""
        while not self.left_s():
            wait_ms = await self._ask()
            if wait_ms:
                await self._pause(wait_ms / 1_000)

    async def goes_on(self) -> bool:
        """Whether this node has the turn still, or has the next one."""
        if self.left_s():
            return True
        wait_ms = await self._ask()
        if 0 < wait_ms <= self._every_ms // _EARLY:
            await self._pause(wait_ms / 1_000)
            wait_ms = await self._ask()
        return wait_ms == 0

    async def _ask(self) -> int:
        begun_s = asyncio.get_running_loop().time()
        wait_ms = await self._door.wait_for_turn(self._every_ms)
        if not wait_ms:
            self._until_s = begun_s + self._every_ms / 1_000
        return wait_ms
