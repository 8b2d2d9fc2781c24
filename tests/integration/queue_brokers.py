"""Brokers as the suite of queue sources sees them: what is written in a source's file for each, and
how others put messages there and take refused ones away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import aio_pika
import nats
import paho.mqtt.client as paho
from confluent_kafka import Consumer, Producer
from nats.js.errors import BadRequestError
from paho.mqtt.enums import CallbackAPIVersion
from redis.asyncio import Redis

from beltline.clients.mqtt_pump import Pump
from tests.servers.brokers import mosquitto, nats_server, rabbitmq, redis_server
from tests.servers.daemon import LOOPBACK, Daemon


class BrokerOfTests(Protocol):
    """A broker that runs. Places (streams, queues, topics) are made by `prepare`."""

    kind: str
    address: str
    gives_ids: bool  # each message has one, by which a repeat is told

    def written(self, place: str) -> str:
        """The lines of a source's file that say what is read."""
        ...

    async def prepare(self, place: str) -> None:
        """Makes the place, and another one for refused messages."""
        ...

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        """Puts messages there, in this order; they are safe when it returns."""
        ...

    def dead_letters(self, place: str) -> str:
        """The name of the place for refused messages."""
        ...

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        """Takes the refused messages, each with its reason; waits for the first."""
        ...

    def restart(self) -> None:
        """Ends the broker and starts it again; what was safe stays so."""
        ...


class _Served:
    gives_ids = True
    scheme = ""
    kind = ""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.address = f"{self.scheme}://{LOOPBACK}:{daemon.port}"

    def dead_letters(self, place: str) -> str:
        return f"{place}-refused"

    def restart(self) -> None:
        self._daemon.restart()


class Nats(_Served):
    kind = scheme = "nats"

    def written(self, place: str) -> str:
        return f"nats: {{stream: {place}, subject: '{place}.>'}}"

    def dead_letters(self, place: str) -> str:
        return f"{place}-refused.x"

    async def prepare(self, place: str) -> None:
        async with await nats.connect(self.address) as client:
            stream = client.jetstream()
            for name in (place, f"{place}-refused"):
                with suppress(BadRequestError):  # it is there
                    await stream.add_stream(name=name, subjects=[f"{name}.>"])

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        async with await nats.connect(self.address) as client:
            stream = client.jetstream()
            for body in bodies:
                await stream.publish(f"{place}.x", body)

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        async with await nats.connect(self.address) as client:
            name = f"{place}-refused"
            pull = await client.jetstream().pull_subscribe("", durable="test", stream=name)
            messages = await pull.fetch(1, timeout=20)
            for message in messages:
                await message.ack()
            return [(one.data, (one.headers or {})["Beltline-Refused"]) for one in messages]


class Rabbit(_Served):
    kind = "rabbitmq"
    scheme = "amqp"
    quorum = False

    def written(self, place: str) -> str:
        return f"rabbitmq: {{queue: {place}}}"

    async def prepare(self, place: str) -> None:
        arguments: Any = {"x-queue-type": "quorum"} if self.quorum else {}
        async with await aio_pika.connect(self.address) as client:
            channel = await client.channel()
            for name in (place, self.dead_letters(place)):
                await channel.declare_queue(name, durable=True, arguments=arguments)

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        async with await aio_pika.connect(self.address) as client:
            channel = await client.channel()
            for number, body in enumerate(bodies):
                message = aio_pika.Message(
                    body,
                    message_id=f"{hash(body)} {number}",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                await channel.default_exchange.publish(message, routing_key=place)

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        async with await aio_pika.connect(self.address) as client:
            channel = await client.channel()
            queue = await channel.get_queue(self.dead_letters(place))
            async with queue.iterator(timeout=20) as messages:
                async for message in messages:
                    await message.ack()
                    return [(message.body, str(message.headers["beltline-refused"]))]
        return []


class RabbitQuorum(Rabbit):
    quorum = True


class RedisStreams(_Served):
    kind = scheme = "redis"

    def written(self, place: str) -> str:
        return f"redis: {{stream: {place}, field: body}}"

    async def prepare(self, place: str) -> None:
        """Streams come by themselves."""

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        async with Redis.from_url(self.address) as client:
            for body in bodies:
                await client.xadd(place, {"body": body})

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        async with Redis.from_url(self.address) as client:
            answer: Any = await client.xread({self.dead_letters(place): "0"}, block=20_000)
            entries = [entry for _, found in answer for entry in found]
            return [(one[b"body"], one[b"beltline-refused"].decode()) for _, one in entries]


class Mqtt(_Served):
    kind = scheme = "mqtt"
    gives_ids = False
    protocol = "5"

    def written(self, place: str) -> str:
        return f"mqtt: {{topic: '{place}/#', protocol: '{self.protocol}'}}"

    async def prepare(self, place: str) -> None:
        """Topics come by themselves, but nothing is kept for a client that was never there."""

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._publish, place, bodies)

    def _publish(self, place: str, bodies: Sequence[bytes]) -> None:
        with self._client() as client:
            for body in bodies:
                client.publish(f"{place}/x", body, qos=1).wait_for_publish(20)

    @contextmanager
    def _client(self) -> Iterator[paho.Client]:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect(LOOPBACK, self._daemon.port)
        pump = Pump(client)
        pump.start()
        try:
            yield client
        finally:
            client.disconnect()
            pump.stop()

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        """It was published with `retain` nowhere, so somebody has to have listened before."""
        raise NotImplementedError

    @contextmanager
    def listening(self, topic: str) -> Iterator[asyncio.Queue[paho.MQTTMessage]]:
        """What is published under a topic in the meantime."""
        heard: asyncio.Queue[paho.MQTTMessage] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def on_message(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, message)

        with self._client() as client:
            client.on_message = on_message
            client.subscribe(topic, qos=1)
            yield heard


class Mqtt311(Mqtt):
    protocol = "3.1.1"


class Kafka:
    """The mock cluster of the client itself, in this process."""

    kind = "kafka"
    gives_ids = True

    def __init__(self) -> None:
        self._producer = Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0}
        )
        broker = next(iter(self._producer.list_topics(timeout=10).brokers.values()))
        self.address = f"kafka://{broker.host}:{broker.port}"

    def written(self, place: str) -> str:
        return f"kafka: {{topic: {place}}}"

    def dead_letters(self, place: str) -> str:
        return f"{place}-refused"

    async def prepare(self, place: str) -> None:
        """Topics come by themselves, when they are asked for."""
        for name in (place, self.dead_letters(place)):
            await asyncio.to_thread(self._producer.list_topics, name, 10)

    async def publish(self, place: str, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self._producer.produce(place, body, key=b"one")
        left = await asyncio.to_thread(self._producer.flush, 20)
        assert left == 0

    async def refused(self, place: str) -> list[tuple[bytes, str]]:
        return await asyncio.to_thread(self._refused, place)

    def _refused(self, place: str) -> list[tuple[bytes, str]]:
        address = self.address.removeprefix("kafka://")
        consumer = Consumer(
            {"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([self.dead_letters(place)])
        try:
            message = consumer.consume(1, timeout=20)[0]
            headers: Any = dict(message.headers() or [])
            return [(message.value() or b"", headers["beltline-refused"].decode())]
        finally:
            consumer.close()

    def restart(self) -> None:
        """It lives in this process."""
        raise NotImplementedError


SERVERS: dict[str, tuple[Callable[[Path], AbstractContextManager[Daemon]], Callable[[Daemon], Any]]]
SERVERS = {
    "nats": (nats_server, Nats),
    "rabbitmq": (rabbitmq, Rabbit),
    "rabbitmq-quorum": (rabbitmq, RabbitQuorum),
    "redis": (redis_server, RedisStreams),
    "mqtt": (mosquitto, Mqtt),
    "mqtt-3.1.1": (mosquitto, Mqtt311),
}
