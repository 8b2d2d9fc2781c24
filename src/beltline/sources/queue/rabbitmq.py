"""RabbitMQ: a consumer of a queue, classic or quorum, with a bounded number of open messages.

RabbitMQ gives its messages no ids. What comes a second time after a crash is told by the
`message_id` that its sender gave, or by the source's own `identity`.
"""

from __future__ import annotations

from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from beltline.clients.account import Connect, Misconfigured
from beltline.clients.rabbitmq import connect_rabbitmq
from beltline.definition.queue import RabbitQueue
from beltline.sources.queue.broker import BrokerLost, Delivery, Inflow
from beltline.sources.queue.identity import sent

_REASON = "beltline-refused"


class RabbitBroker:
    """A connection to RabbitMQ (`broker.Broker`)."""

    def __init__(
        self, queue: RabbitQueue, connect: Connect, *, source: str, in_flight: int
    ) -> None:
        self._queue = queue
        self._connect = connect
        self._source = source
        self._in_flight = in_flight
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._inflow = Inflow()

    async def begin(self) -> None:
        self._connection = await connect_rabbitmq(self._connect(), name=f"beltline {self._source}")
        self._channel = self._connection.channel(on_return_raises=True)
        self._channel.close_callbacks.add(self._on_close)
        await self._channel.initialize()
        await self._channel.set_qos(prefetch_count=self._in_flight)
        try:
            queue = await self._channel.declare_queue(self._queue.queue, passive=True)
        except ChannelNotFoundEntity as missing:
            raise Misconfigured(f"RabbitMQ has no queue {self._queue.queue}") from missing
        queue.close_callbacks.add(self._on_close)  # the queue was deleted
        await queue.consume(self._on_message)

    def _on_close(self, _sender: Any, reason: BaseException | None) -> None:
        self._inflow.break_off(BrokerLost(f"RabbitMQ closed the channel: {reason or 'no reason'}"))

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        self._inflow.put(_delivery(message))

    async def end(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def receive(self, most: int) -> list[Delivery]:
        return await self._inflow.take(most)

    async def acknowledge(self, delivery: Delivery) -> None:
        message: AbstractIncomingMessage = delivery.handle
        await message.ack()

    async def keep(self, delivery: Delivery) -> None:
        """A message stays with its consumer for as long as the channel is open."""

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        assert self._channel is not None
        came: AbstractIncomingMessage = delivery.handle
        message = aio_pika.Message(
            body=came.body,
            headers={**came.headers, _REASON: reason},
            content_type=came.content_type,
            message_id=came.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        # `mandatory`: where there is no such queue, this fails instead of losing the message.
        await self._channel.default_exchange.publish(message, routing_key=target, mandatory=True)


def _delivery(message: AbstractIncomingMessage) -> Delivery:
    headers = [(name, _bytes(value)) for name, value in message.headers.items()]
    if message.content_type:
        headers.append(("content-type", message.content_type.encode()))
    return Delivery(
        body=message.body,
        headers=headers,
        where={"exchange": message.exchange or "", "routing_key": message.routing_key or ""},
        identity=sent(message.message_id) if message.message_id else None,
        handle=message,
        is_again=bool(message.redelivered),
    )


def _bytes(value: Any) -> bytes:
    """A header's value: of a table or a list as people would write it."""
    return value if isinstance(value, bytes) else str(value).encode()
