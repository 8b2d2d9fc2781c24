"""The feed of a queue source: which broker's file serves which queue.

Each needs a library of its own, which is imported when its first feed is made, so that a hub
without such sources runs without it.
"""

from __future__ import annotations

from collections.abc import Callable

from beltline.clients.account import Connect
from beltline.core.limits import Limits
from beltline.definition.queue import (
    KafkaQueue,
    MqttQueue,
    NatsQueue,
    Queue,
    QueueWay,
    RabbitQueue,
    RedisQueue,
)
from beltline.sources.door import Door
from beltline.sources.queue.broker import Broker
from beltline.sources.queue.feed import QueueFeed

TURN_MS = 10_000

# The Python package of each broker; the extra that brings it has the name of the broker.
PACKAGES = {
    "nats": "nats",
    "rabbitmq": "aio_pika",
    "redis": "redis",
    "kafka": "confluent_kafka",
    "mqtt": "paho",
}


def queue_feed(
    way: QueueWay, door: Door, connect: Connect, limits: Limits, *, node: str
) -> QueueFeed:
    """The feed of a source; `node` tells this node from the others that share its store."""
    return QueueFeed(
        door,
        way,
        _maker(way.queue, way, door, connect, node),
        limits,
        turn_ms=TURN_MS if isinstance(way.queue, MqttQueue) else None,
    )


def _maker(
    queue: Queue, way: QueueWay, door: Door, connect: Connect, node: str
) -> Callable[[], Broker]:
    source = door.source.name
    match queue:
        case NatsQueue():
            from beltline.sources.queue.nats import NatsBroker  # noqa: PLC0415 - an extra

            return lambda: NatsBroker(queue, connect, source=source, in_flight=way.in_flight)
        case RabbitQueue():
            from beltline.sources.queue.rabbitmq import RabbitBroker  # noqa: PLC0415 - an extra

            return lambda: RabbitBroker(queue, connect, source=source, in_flight=way.in_flight)
        case RedisQueue():
            from beltline.sources.queue.redis import RedisBroker  # noqa: PLC0415 - an extra

            return lambda: RedisBroker(queue, connect, source=source, node=node)
        case KafkaQueue():
            from beltline.sources.queue.kafka import KafkaBroker  # noqa: PLC0415 - an extra

            return lambda: KafkaBroker(queue, connect, source=source)
        case MqttQueue():
            from beltline.sources.queue.mqtt import MqttBroker  # noqa: PLC0415 - an extra

            return lambda: MqttBroker(
                queue,
                connect,
                source=source,
                in_flight=way.in_flight,
                recall=door.cursor,
                remember=door.move_on,
            )
