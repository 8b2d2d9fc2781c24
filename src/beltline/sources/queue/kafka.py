"""Kafka: a consumer group. The messages of a partition are taken in one after another, and how far
that is goes back to Kafka only for what is durable here.

The client is librdkafka, whose own threads keep the connection; its calls that wait run in threads.
"""

from __future__ import annotations

import asyncio
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from beltline.clients.account import Connect, Misconfigured
from beltline.clients.kafka import kafka_settings
from beltline.definition.queue import KafkaQueue
from beltline.sources.queue.broker import BrokerLost, Delivery
from beltline.sources.queue.identity import placed

_ASK_S = 1.0  # a thread waits that long, and the end of the hub waits for the thread
_PUBLISH_S = 30.0
# While the store is away nothing new is asked for, and the group must not take that for a death:
# a node that dies is told by its heartbeats, which come from a thread.
_POLL_MOST_MS = 3_600_000
SESSION_MS = 30_000  # after which a node without heartbeats is taken for dead
_FETCHED_KIB = 4_096  # kept by the client in advance, for each partition
_REASON = "beltline-refused"
# The codes of the client itself have such names.
_NOT_OURS = KafkaError._STATE  # noqa: SLF001
_GONE = (
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
)
_UNKNOWN = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
)


class KafkaBroker:
    """A connection to Kafka (`broker.Broker`)."""

    def __init__(self, queue: KafkaQueue, connect: Connect, *, source: str) -> None:
        self._queue = queue
        self._connect = connect
        self._group = queue.group or f"beltline-{source}"
        self._settings: dict[str, Any] = {}
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._trouble: KafkaError | None = None

    async def begin(self) -> None:
        self._settings = kafka_settings(self._connect(), self._queue.sasl)
        self._consumer = Consumer(
            {
                **self._settings,
                "group.id": self._group,
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": False,  # `acknowledge` does it
                "auto.commit.interval.ms": 1_000,
                "max.poll.interval.ms": _POLL_MOST_MS,
                "session.timeout.ms": SESSION_MS,
                "queued.max.messages.kbytes": _FETCHED_KIB,
                "error_cb": self._on_error,
            }
        )
        self._consumer.subscribe([self._queue.topic])

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _GONE:
            self._trouble = error

    async def end(self) -> None:
        """Commits what was told, and leaves the group so that others take over at once."""
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.close)

    async def receive(self, most: int) -> list[Delivery]:
        assert self._consumer is not None
        messages = await asyncio.to_thread(self._consumer.consume, most, _ASK_S)
        deliveries = []
        for message in messages:
            error = message.error()
            if error is None:
                deliveries.append(self._delivery(message))
            elif error.code() in _UNKNOWN:
                raise Misconfigured(f"Kafka has no topic {self._queue.topic}")
            elif not error.retriable():
                raise BrokerLost(f"Kafka: {error.str()}")
        if self._trouble is not None and not deliveries:
            raise BrokerLost(f"Kafka: {self._trouble.str()}")
        return deliveries

    def _delivery(self, message: Message) -> Delivery:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        kind, at = message.timestamp()
        key = message.key()
        headers: Any = message.headers() or []
        where: dict[str, Any] = {"topic": topic, "partition": partition, "offset": offset}
        if isinstance(key, bytes):
            where["key"] = key.decode("utf-8", "replace")
        return Delivery(
            body=message.value() or b"",
            headers=[(str(name), value or b"") for name, value in headers],
            where=where,
            identity=placed(topic, partition, offset, at if kind else ""),
            handle=message,
            line=(topic, partition),
        )

    async def acknowledge(self, delivery: Delivery) -> None:
        assert self._consumer is not None
        try:
            self._consumer.store_offsets(message=delivery.handle)
        except KafkaException as error:
            # The partition is another member's now. It is given the message again, and our store
            # knows it by its place.
            if error.args[0].code() != _NOT_OURS:
                raise

    async def keep(self, delivery: Delivery) -> None:
        """A partition is its member's for as long as it lives."""

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        message: Message = delivery.handle
        headers = [*(message.headers() or []), (_REASON, reason.encode())]
        if self._producer is None:
            self._producer = Producer({**self._settings, "acks": "all"})
        producer = self._producer
        told: list[KafkaError | None] = []
        producer.produce(
            target,
            message.value(),
            message.key(),
            headers=headers,
            on_delivery=lambda error, _: told.append(error),
        )
        await asyncio.to_thread(producer.flush, _PUBLISH_S)  # it makes the call above, too
        if not told:
            raise BrokerLost(f"Kafka took no message for {target} within {_PUBLISH_S:.0f} s")
        if told[0] is not None:
            raise BrokerLost(f"Kafka took no message for {target}: {told[0].str()}")
