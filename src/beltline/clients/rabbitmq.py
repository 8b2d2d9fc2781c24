"""RabbitMQ: how a connection is opened, and how a message is published with confirmation."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelNotFoundEntity,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from beltline.clients.account import CONNECT_S, server_of, unreachable, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

_NO_RIGHT = "ACCESS_REFUSED"
SCHEMES = {"amqp": (5672, False), "amqps": (5671, True)}


async def connect_rabbitmq(connection: Connection, *, name: str) -> AbstractConnection:
    """Connects; not anew by itself. Raises what the library raises, and `Misconfigured`."""
    server = server_of(connection, SCHEMES)
    return await aio_pika.connect(
        host=server.host,
        port=server.port,
        login=server.user or "guest",
        password=server.secret or "guest",
        virtualhost=server.path or "/",
        ssl=server.tls,
        ssl_context=ssl.create_default_context() if server.tls else None,
        timeout=CONNECT_S,
        client_properties={"connection_name": name},
    )


class RabbitPublisher:
    """A connection by which messages are published, with a channel for each exchange: a mistake
    about one exchange closes its channel, and what waits for its confirmation there.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._is_lost = False
        connection.close_callbacks.add(self._on_close)
        self._opened: dict[str, tuple[AbstractChannel, AbstractExchange]] = {}
        self._opening = asyncio.Lock()

    def is_open(self) -> bool:
        """Whether the connection holds."""
        return not self._is_lost

    def _on_close(self, _sender: object, _reason: BaseException | None) -> None:
        self._is_lost = True

    async def close(self) -> None:
        """Leaves."""
        await self._connection.close()

    async def describe(self) -> str:
        """What is at the other end."""
        async with self._connection.channel():
            pass  # the virtual host is this account's
        transport: Any = self._connection.transport
        told = transport.connection.server_properties
        return f"{told.get('product', 'a broker')} {told.get('version', '')} lets the account in"

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        id: str,
        content_type: str,
    ) -> None:
        """Returns when RabbitMQ has confirmed that a queue keeps the message. Raises
        `ClientFailed`.
        """
        message = aio_pika.Message(
            body=body,
            headers=dict(headers),
            content_type=content_type,
            message_id=id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        try:
            place = await self._exchange(exchange)
            await place.publish(message, routing_key=routing_key, mandatory=True)
        except PublishError as returned:
            raise ClientFailed(
                f"no queue takes messages of {_named(exchange)} with the key {routing_key!r}"
            ) from returned
        except DeliveryError as refused:
            raise ClientFailed(
                "RabbitMQ refused the message: the queue is full, or cannot keep it now"
            ) from refused
        except ChannelNotFoundEntity as missing:
            raise ClientFailed(f"RabbitMQ has no {_named(exchange)}") from missing
        except ChannelClosed as refused:
            raise ClientFailed(
                f"RabbitMQ: {words(refused)}", permanent=_NO_RIGHT in str(refused)
            ) from refused
        except (AMQPError, RuntimeError, OSError) as lost:  # RuntimeError: it was closed before
            self._is_lost = True
            raise ClientFailed(f"RabbitMQ did not confirm the message: {words(lost)}") from lost

    async def _exchange(self, name: str) -> AbstractExchange:
        async with self._opening:
            found = self._opened.get(name)
            if found is not None and not found[0].is_closed:
                return found[1]
            channel = await self._connection.channel(on_return_raises=True)
            exchange = (
                await channel.get_exchange(name, ensure=False) if name else channel.default_exchange
            )
            self._opened[name] = (channel, exchange)
            return exchange


def _named(exchange: str) -> str:
    return f"exchange {exchange!r}" if exchange else "the default exchange"


async def _check(connection: Connection, _http: Http) -> str:
    line = await _open(connection)
    try:
        return await line.describe()
    finally:
        await line.close()


async def open_line(connection: Connection) -> AbstractConnection:
    """Connects. Raises `ClientFailed`."""
    try:
        return await connect_rabbitmq(connection, name="beltline")
    except ProbableAuthenticationError as refused:
        raise ClientFailed(
            f"RabbitMQ refused the account of the connection {connection.name}", permanent=True
        ) from refused
    except (AMQPError, OSError) as wrong:
        raise unreachable(connection, wrong) from wrong


async def _open(connection: Connection) -> RabbitPublisher:
    return RabbitPublisher(await open_line(connection))


PUBLISHER = Client(
    name="rabbitmq-publisher",
    open=_open,
    close=RabbitPublisher.close,
    is_open=RabbitPublisher.is_open,
)
kind = ConnectionKind(name="rabbitmq", check=_check)
