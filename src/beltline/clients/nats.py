"""NATS: how a connection is opened, and how a message is put into a stream of JetStream."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from nats.aio.client import Client as Line
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from beltline.clients.account import CONNECT_S, server_of, unreachable, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

SCHEMES = {"nats": (4222, False), "tls": (4222, True)}
MESSAGE_ID = "Nats-Msg-Id"
_EXPECTED = "Nats-Expected-Stream"
_ACK_S = 20.0
_FLUSH_S = 3
# What JetStream answers where the message itself is at fault (server/errors.json of NATS).
_WRONG_STREAM, _TOO_LARGE = 10060, 10054
_NOT_LET_IN = "authorization violation"
_REFUSED = "permissions violation for publish"


class Stored(msgspec.Struct, frozen=True):
    """Where a message stands now; `is_repeat` where the stream had it before."""

    stream: str
    sequence: int
    is_repeat: bool


async def connect_nats(
    connection: Connection, *, name: str, on_error: Callable[[Exception], Awaitable[None]]
) -> Line:
    """Connects. It does not connect anew by itself: who uses it has to know. Raises what the
    library raises, and `Misconfigured`.
    """
    server = server_of(connection, SCHEMES)
    login: dict[str, Any] = {}
    if server.user:
        login = {"user": server.user, "password": server.secret}
    elif server.secret:
        login = {"token": server.secret}
    line = Line()
    try:
        await line.connect(
            f"{'tls' if server.tls else 'nats'}://{server.authority}",
            name=name,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # counts for the first connection, too: 60 otherwise
            reconnect_time_wait=0,
            connect_timeout=int(CONNECT_S),
            error_cb=on_error,
            tls=ssl.create_default_context() if server.tls else None,
            **login,
        )
    except BaseException:
        await line.close()  # where it was not let in, its socket is open still
        raise
    return line


class NatsPublisher:
    """A line to NATS by which messages are published."""

    def __init__(self) -> None:
        self._line: Line
        self.jetstream: JetStreamContext
        self._is_doubtful = False
        self._refusals: list[str] = []  # the last ones; a refused publish gets no other answer

    async def open(self, connection: Connection) -> NatsPublisher:
        """Connects. Raises `ClientFailed`."""
        try:
            self._line = await connect_nats(connection, name="beltline", on_error=self._on_error)
        except (NatsError, OSError) as wrong:
            if _NOT_LET_IN in str(wrong).lower():
                raise ClientFailed(
                    f"NATS refused the account of the connection {connection.name}", permanent=True
                ) from wrong
            raise unreachable(connection, wrong) from wrong
        self.jetstream = self._line.jetstream()
        return self

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if _REFUSED in text.lower():
            self._refusals = [*self._refusals[-9:], text]

    def is_open(self) -> bool:
        """Whether the line holds."""
        return self._line.is_connected and not self._is_doubtful

    async def close(self) -> None:
        """Leaves."""
        try:
            if self._line.is_connected:
                await self._line.flush(_FLUSH_S)
        finally:  # also where whoever leaves is cancelled meanwhile
            await self._line.close()

    async def publish(
        self, subject: str, body: bytes, headers: Mapping[str, str], *, id: str, stream: str | None
    ) -> Stored:
        """Returns when a stream keeps the message. Raises `ClientFailed`."""
        given = {**headers, MESSAGE_ID: id}
        if stream is not None:
            given[_EXPECTED] = stream
        try:
            told = await self.jetstream.publish(subject, body, timeout=_ACK_S, headers=given)
        except MaxPayloadError:
            raise ClientFailed(
                f"the message has {len(body)} bytes, and NATS takes {self._line.max_payload}"
                " (its max_payload)",
                permanent=True,
            ) from None
        except NoStreamResponseError as nobody:
            raise ClientFailed(f"no stream of NATS keeps the subject {subject}") from nobody
        except APIError as refused:
            permanent = refused.err_code in (_WRONG_STREAM, _TOO_LARGE)
            said = refused.description or f"error {refused.err_code}"
            raise ClientFailed(f"NATS: {said}", permanent=permanent) from refused
        except (NatsError, TimeoutError, OSError) as lost:
            if any(f'"{subject.lower()}"' in text.lower() for text in self._refusals):
                raise ClientFailed(
                    f"the account may not publish under {subject}", permanent=True
                ) from lost
            self._is_doubtful = True
            raise ClientFailed(f"NATS did not confirm the message: {words(lost)}") from lost
        return Stored(told.stream, told.seq, bool(told.duplicate))

    async def describe(self) -> str:
        """What is at the other end. Raises `ClientFailed`."""
        try:
            account = await self.jetstream.account_info()
        except (NatsError, TimeoutError) as wrong:
            raise ClientFailed(
                f"NATS {self._line.connected_server_version} lets us in, and has no JetStream for"
                f" this account: {words(wrong)}"
            ) from wrong
        version = self._line.connected_server_version
        return f"NATS {version} with JetStream, which has {account.streams} streams"


async def _check(connection: Connection, _http: Http) -> str:
    line = await _open(connection)
    try:
        return await line.describe()
    finally:
        await line.close()


async def _open(connection: Connection) -> NatsPublisher:
    return await NatsPublisher().open(connection)


PUBLISHER = Client(
    name="nats-publisher",
    open=_open,
    close=NatsPublisher.close,
    is_open=NatsPublisher.is_open,
)
kind = ConnectionKind(name="nats", check=_check)
