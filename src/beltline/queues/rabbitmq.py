"""Calls over RabbitMQ: a quorum queue for each place, and publisher confirms.

A queue that an operator has made under the name is used as it is. Calls and answers that nobody
takes go after a day; a queue of answers that no hub reads goes itself, since hubs come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelClosed, ChannelNotFoundEntity, DeliveryError

from beltline.clients.account import words
from beltline.clients.rabbitmq import RabbitPublisher, open_line
from beltline.definition.queue import RabbitQueue
from beltline.engine.contract import EVENT_MEDIA
from beltline.queues.address import is_results
from beltline.queues.broker import KEEP_MS
from beltline.sdk import ClientFailed, Connection
from beltline.sources.queue.broker import Broker
from beltline.sources.queue.rabbitmq import RabbitBroker
from beltline.transports.queue import Post

NOT_READY_S = (0.05, 0.1, 0.2, 0.4, 0.8, 0)  # between tries; 0 is the last one
_CALLS = {"x-queue-type": "quorum", "x-message-ttl": KEEP_MS}
_RESULTS = {**_CALLS, "x-expires": 2 * KEEP_MS}


class RabbitPost(RabbitPublisher):
    """A connection by which calls and answers are sent (`transports.queue.Post`)."""

    def __init__(self, connection: AbstractConnection) -> None:
        super().__init__(connection)
        self._line = connection

    async def send(self, place: str, body: bytes, *, id: str) -> None:
        for pause_s in NOT_READY_S:
            try:
                await self.publish("", place, body, {}, id=id, content_type=EVENT_MEDIA)
            except ClientFailed as refused:
                # A quorum queue that was just made, or whose leader is changing, takes nothing yet.
                if type(refused.__cause__) is not DeliveryError or not pause_s:
                    raise
                await asyncio.sleep(pause_s)
            else:
                return

    async def prepare(self, place: str) -> None:
        try:
            try:
                async with self._line.channel() as channel:
                    await channel.declare_queue(place, passive=True)
            except ChannelNotFoundEntity:
                arguments: Any = _RESULTS if is_results(place) else _CALLS
                async with self._line.channel() as channel:
                    await channel.declare_queue(place, durable=True, arguments=arguments)
        except ChannelClosed as refused:
            raise ClientFailed(f"RabbitMQ: {words(refused)}") from refused
        except (AMQPError, RuntimeError, OSError) as lost:  # RuntimeError: it was closed before
            raise ClientFailed(f"RabbitMQ did not answer: {words(lost)}") from lost


class RabbitCalls:
    """RabbitMQ as a broker of calls (`queues.broker.CallBroker`)."""

    def __init__(self, account: Callable[[], Connection]) -> None:
        self._account = account

    async def open(self) -> Post:
        return RabbitPost(await open_line(self._account()))

    def receiver(self, place: str, in_flight: int) -> Broker:
        return RabbitBroker(RabbitQueue(place), self._account, source=place, in_flight=in_flight)
