"""Kafka: how a client is set up, and how a message is produced that all replicas have.

The client is librdkafka, whose own threads keep the connection. What became of a message it tells
a thread that asks for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from beltline.clients.account import server_of
from beltline.sdk import Client, ClientFailed, Connection

SCHEMES = {"kafka": (9092, False), "kafkas": (9093, True)}
_KEY = "idempotency-key"
# Below a step's usual timeout, so that a message which could not be sent is told as such, and does
# not go out after its attempt was given up.
_DELIVERED_MS = 20_000
_ASK_S = 0.25
_FLUSH_S = 3.0
# The client's own codes have such names.
_FATAL = KafkaError._FATAL  # noqa: SLF001
_PERMANENT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError._INVALID_ARG,  # noqa: SLF001
    }
)


class Produced(msgspec.Struct, frozen=True):
    """Where a message stands now."""

    topic: str
    partition: int
    offset: int


def kafka_settings(connection: Connection, sasl: str) -> dict[str, Any]:
    """How librdkafka reaches the cluster; `sasl` is how the user proves who they are. Raises
    `Misconfigured`.
    """
    server = server_of(connection, SCHEMES)
    settings: dict[str, Any] = {"bootstrap.servers": server.authority, "log_level": 0}
    if server.user:
        settings |= {
            "sasl.mechanism": sasl,
            "sasl.username": server.user,
            "sasl.password": server.secret,
        }
    way = ("SASL_" if server.user else "") + ("SSL" if server.tls else "PLAINTEXT")
    return {**settings, "security.protocol": way}


class KafkaPublisher:
    """A producer, and the thread that hears what became of its messages."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._is_closing = False
        self._is_broken = False
        self._trouble = ""  # what the client said last about its connections
        self._producer = Producer(
            {
                **settings,
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": _DELIVERED_MS,
                "error_cb": self._on_error,
            }
        )
        self._thread = threading.Thread(target=self._listen, name="kafka-publisher", daemon=True)
        self._thread.start()

    def _on_error(self, error: KafkaError) -> None:
        self._trouble = error.str()

    def _listen(self) -> None:
        while not self._is_closing:
            self._producer.poll(_ASK_S)

    def is_open(self) -> bool:
        """Whether it can produce: not after an error that it calls fatal."""
        return not self._is_broken

    async def close(self) -> None:
        """Leaves; what is under way still goes out, for a while."""
        self._is_closing = True
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._producer.flush, _FLUSH_S)

    async def publish(
        self, topic: str, body: bytes, headers: Mapping[str, str], *, id: str, key: str | None
    ) -> Produced:
        """Returns when all replicas that are in step have the message. Raises `ClientFailed`."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[tuple[KafkaError | None, Message]] = loop.create_future()
        given: list[tuple[str, str | bytes | None]] = [*headers.items(), (_KEY, id)]

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(_tell, told, error, message)

        try:
            self._producer.produce(topic, body, key, headers=given, on_delivery=on_delivery)
        except BufferError as full:
            raise ClientFailed("more messages wait for Kafka than its client keeps") from full
        except KafkaException as wrong:
            raise self._failed(topic, wrong.args[0]) from wrong
        error, message = await told
        if error is not None:
            raise self._failed(topic, error)
        return Produced(topic, message.partition() or 0, message.offset() or 0)

    def _failed(self, topic: str, error: KafkaError) -> ClientFailed:
        if error.fatal() or error.code() == _FATAL:
            self._is_broken = True
        why = f" ({self._trouble})" if self._trouble else ""
        return ClientFailed(
            f"Kafka took no message for {topic}: {error.str()}{why}",
            permanent=error.code() in _PERMANENT,
        )


def _tell(
    told: asyncio.Future[tuple[KafkaError | None, Message]],
    error: KafkaError | None,
    message: Message,
) -> None:
    if not told.done():  # the attempt was given up
        told.set_result((error, message))


async def _open(connection: Connection, *, sasl: str) -> KafkaPublisher:
    settings = kafka_settings(connection, sasl)
    try:
        return KafkaPublisher(settings)
    except KafkaException as wrong:
        raise ClientFailed(f"Kafka: {wrong.args[0].str()}", permanent=True) from wrong


def publisher(sasl: str) -> Client[KafkaPublisher]:
    """The client for accounts that prove who they are in this way."""
    return Client(
        name=f"kafka-publisher {sasl}",
        open=partial(_open, sasl=sasl),
        close=KafkaPublisher.close,
        is_open=KafkaPublisher.is_open,
    )
