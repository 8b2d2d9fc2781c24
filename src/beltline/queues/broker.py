"""What the hub and its workers need of a broker, as promises in words, and which file keeps them.

Calls and answers are sent by a `Post`, which is confirmed, and received by the same brokers that
serve queue sources: a message that is not acknowledged comes again, to whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from beltline.queues.address import BrokerAddress
from beltline.sdk import ClientFailed, Connection
from beltline.sources.queue.broker import Broker, Delivery
from beltline.transports.queue import Post

FORGET_MS = 2 * 86_400_000  # places that nobody asks go, such as those of hubs that are no more
KEEP_MS = 86_400_000  # an attempt lasts a day at the most: older calls and answers are of no use


class CallBroker(Protocol):
    """A broker that carries calls."""

    async def open(self) -> Post:
        """Connects. Raises `ClientFailed`."""
        ...

    def receiver(self, place: str, in_flight: int) -> Broker:
        """Receives what waits at a place. Its `begin` needs a place that was prepared."""
        ...


class PreparedReceiver:
    """A receiver that prepares its place whenever it begins."""

    def __init__(self, broker: CallBroker, place: str, in_flight: int) -> None:
        self._broker = broker
        self._place = place
        self._receiver = broker.receiver(place, in_flight)

    async def begin(self) -> None:
        """Raises `ClientFailed`, and what the receiver raises."""
        post = await self._broker.open()
        try:
            await post.prepare(self._place)
        finally:
            await post.close()
        await self._receiver.begin()

    async def end(self) -> None:
        await self._receiver.end()

    async def receive(self, most: int) -> list[Delivery]:
        return await self._receiver.receive(most)

    async def acknowledge(self, delivery: Delivery) -> None:
        await self._receiver.acknowledge(delivery)

    async def keep(self, delivery: Delivery) -> None:
        await self._receiver.keep(delivery)

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        await self._receiver.set_aside(delivery, target, reason)


def call_broker(address: BrokerAddress, account: Callable[[], Connection]) -> CallBroker:
    """The broker at an address; `account` is asked at each new beginning. Raises `ClientFailed`
    where its library is not installed.
    """
    try:
        match address.kind:
            case "nats":
                from beltline.queues.nats import NatsCalls  # noqa: PLC0415 - an extra

                return NatsCalls(account)
            case "rabbitmq":
                from beltline.queues.rabbitmq import RabbitCalls  # noqa: PLC0415 - an extra

                return RabbitCalls(account)
            case _:
                from beltline.queues.redis import RedisCalls  # noqa: PLC0415 - an extra

                return RedisCalls(account)
    except ModuleNotFoundError as missing:
        raise ClientFailed(
            f"the library {missing.name} is not installed: pip install 'beltline[{address.kind}]'",
            permanent=True,
        ) from missing
