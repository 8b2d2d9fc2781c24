"""Calls over Redis Streams: a stream for each place, and one consumer group there.

An entry goes when it is acknowledged, and after a day in any case. What a worker that is gone had
taken is claimed by the others after a minute, and at once where it was given back.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable

from beltline.clients.redis import RedisPublisher, open_redis
from beltline.definition.queue import RedisQueue
from beltline.queues.broker import FORGET_MS, KEEP_MS
from beltline.sdk import Connection
from beltline.sources.queue.broker import Broker, Delivery
from beltline.sources.queue.redis import RedisBroker
from beltline.transports.queue import Post

GROUP = "beltline"
RENEW_S = 3_600.0
_BODY = "event"
_NOBODY = "given-back"
_LONG_AGO_MS = 86_400_000  # idle for so long, it is claimed at the next look


class RedisPost(RedisPublisher):
    """A client by which calls and answers are sent (`transports.queue.Post`)."""

    async def send(self, place: str, body: bytes, *, id: str) -> None:
        since = int(time.time() * 1_000) - KEEP_MS
        await self.add(place, {_BODY: body}, key=id, known_for_ms=0, keep=None, keep_since=since)

    async def prepare(self, place: str) -> None:
        """A stream is made by its first entry, and its group by who reads it."""


class RedisReceiver(RedisBroker):
    """Receives calls, or answers (`sources.queue.broker.Broker`)."""

    _renew_at = 0.0

    @property
    def _is_of_results(self) -> bool:
        return ".results." in self.stream

    async def receive(self, most: int) -> list[Delivery]:
        now = asyncio.get_running_loop().time()
        if self._is_of_results and now >= self._renew_at:
            # That of a hub that is no more goes. What calls wait in stays: workers come and go.
            await self.client.pexpire(self.stream, FORGET_MS)
            self._renew_at = now + RENEW_S
        return await super().receive(most)

    async def acknowledge(self, delivery: Delivery) -> None:
        id, _ = delivery.handle
        await super().acknowledge(delivery)
        await self.client.xdel(self.stream, id)

    async def end(self) -> None:
        """Gives back what is not acknowledged."""
        try:
            for id in list(self.here):
                await self.client.xclaim(
                    self.stream, GROUP, _NOBODY, 0, [id], idle=_LONG_AGO_MS, justid=True
                )
        finally:
            await super().end()


class RedisCalls:
    """Redis as a broker of calls (`queues.broker.CallBroker`)."""

    def __init__(self, account: Callable[[], Connection]) -> None:
        self._account = account
        self._name = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"

    async def open(self) -> Post:
        return RedisPost(await open_redis(self._account()))

    def receiver(self, place: str, in_flight: int) -> Broker:  # noqa: ARG002 - it gives what is asked for
        queue = RedisQueue(place, GROUP, _BODY)
        return RedisReceiver(queue, self._account, source=place, node=self._name)
