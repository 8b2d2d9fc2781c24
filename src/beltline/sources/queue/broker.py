"""What a queue source needs of a broker, as promises in words, and what brokers share.

    begin ──> receive ──> ... offered, durable ... ──> acknowledge
                  │                                 └> set_aside, acknowledge
                  └──────> the connection breaks: an error, and everything begins anew

A broker that is told nothing of a message gives it again, to this node or to another. So nothing is
told before our commit, and there is no other way to lose a message than to acknowledge it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import msgspec

from beltline.sources.door import FeedTrouble

ASK_S = 2.0  # how long one question to a broker waits when there is nothing

Headers = Sequence[tuple[str, bytes]]


class BrokerLost(FeedTrouble):
    """The world: the connection to the broker is gone, or it does not do what was asked."""


class Delivery(msgspec.Struct, frozen=True, eq=False):
    """A message as the broker gave it.

    `where` is shown in `meta.queue`; `identity` is what tells it from every other one, None where
    the broker and its sender give nothing. Those of one `line` are taken in one after another.
    `fields` are the entries of a broker whose messages have no body but fields. With `is_again` the
    broker gave it before, to this node or another. `handle` is the broker's own.
    """

    body: bytes
    headers: Headers
    where: dict[str, Any]
    identity: str | None
    handle: Any
    line: Hashable = None
    fields: dict[str, str] | None = None
    is_again: bool = False


class Broker(Protocol):
    """One connection to a broker, from `begin` to `end`. What does not work raises an error of the
    broker's library or `BrokerLost`; then it is ended, and another one begins. Raises
    `Misconfigured` where its operator has to change something.
    """

    async def begin(self) -> None:
        """Connects, and asks for messages. `end` is called in any case."""
        ...

    async def end(self) -> None:
        """Leaves. What is not acknowledged comes again."""
        ...

    async def receive(self, most: int) -> list[Delivery]:
        """Up to `most` messages. It waits for the first for some seconds, and gives none then."""
        ...

    async def acknowledge(self, delivery: Delivery) -> None:
        """Tells that it need not come again."""
        ...

    async def keep(self, delivery: Delivery) -> None:
        """Tells that it is still worked on, so that it is given to nobody else meanwhile."""
        ...

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        """Puts a copy with its reason where the file says; durable there when it returns."""
        ...


class Inflow:
    """Messages of a broker that pushes them, until they are asked for. What it may push before the
    first ones are acknowledged bounds it.
    """

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque()
        self._reason: Exception | None = None
        self._news = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        """A message has come."""
        self._deliveries.append(delivery)
        self._news.set()

    def break_off(self, reason: Exception) -> None:
        """Nothing comes any more: who asks is given the reason."""
        self._reason = self._reason or reason
        self._news.set()

    async def take(self, most: int) -> list[Delivery]:
        """As `Broker.receive`."""
        try:
            async with asyncio.timeout(ASK_S):
                await self._news.wait()
        except TimeoutError:
            return []
        if self._reason is not None:
            raise self._reason
        count = min(most, len(self._deliveries))
        taken = [self._deliveries.popleft() for _ in range(count)]
        if not self._deliveries:
            self._news.clear()
        return taken
