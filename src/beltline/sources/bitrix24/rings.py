"""When the lists of a portal are asked: once in so much time, on one of all nodes, and soon after
an event, on the node that heard it.

    event ──ring──> a second of quiet ──┐
    every 5m, whose turn it is ─────────┴──> a look

A time of a record has no parts of a second. A ring waits for one, so that many make one look, and
so that the second of the change is over: what changes once more within it would look the same.
"""

from __future__ import annotations

import msgspec

from beltline.engine.ports import Bell, Clock
from beltline.sources.door import Door

QUIET_MS = 1_000


class Asked(msgspec.Struct, frozen=True):
    """What the next look is to be about: all kinds of records where it is `whole`, and those that
    were rung for, each with the time of its newest event by the portal's clock (Unix seconds; None
    where it has none that counts).
    """

    whole: bool
    rung: dict[str, int | None]


class Rings:
    """`begin` returns when this node is to look, `done` says that the look went well. One that did
    not is owed, and begun again together with whatever was rung for meanwhile.

    A node that starts owes a whole look: rings that it had heard before were not kept.
    """

    def __init__(self, door: Door, clock: Clock, bell: Bell, every_ms: int) -> None:
        self._door = door
        self._clock = clock
        self._bell = bell
        self._every_ms = every_ms
        self._is_whole = True
        self._owed: dict[str, int | None] = {}
        self._rung: dict[str, int | None] = {}
        self._due_at = 0

    def ring(self, kind: str, sent_s: int | None) -> None:
        """Something happened to a record of this kind."""
        if not self._rung:
            self._due_at = self._clock.now() + QUIET_MS
            self._bell.ring()
        before = self._rung.get(kind, sent_s)
        self._rung[kind] = None if None in (before, sent_s) else max(before or 0, sent_s or 0)

    async def begin(self) -> Asked:
        """Waits until there is something to look at."""
        while True:
            turn_ms = await self._door.wait_for_turn(self._every_ms)
            self._is_whole |= not turn_ms
            now = self._clock.now()
            is_due = bool(self._rung) and now >= self._due_at
            if self._is_whole or self._owed or is_due:
                self._owed |= self._rung
                self._rung = {}
                return Asked(self._is_whole, dict(self._owed))
            wait_ms = min(turn_ms, self._due_at - now) if self._rung else turn_ms
            await self._bell.wait(now + wait_ms)

    def done(self) -> None:
        """The look went well."""
        self._is_whole = False
        self._owed = {}
        self._door.looked()
