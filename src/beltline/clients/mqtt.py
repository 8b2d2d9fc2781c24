"""MQTT: how a client is made and let in, and how a message is published with QoS 1."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from beltline.clients.account import CONNECT_S, server_of, unreachable, words
from beltline.clients.mqtt_pump import Pump
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

SCHEMES = {"mqtt": (1883, False), "mqtts": (8883, True)}
KEEPALIVE_S = 30
_KEY = "idempotency-key"
_CONFIRMED_S = 20.0
_NOBODY = 0x10  # "no matching subscribers"
# Reasons of MQTT 5 with which the same message would be refused again.
_PERMANENT = frozenset({0x87, 0x90, 0x99, 0x95})
# Reasons for which nobody is let in: wrong user, wrong password, not allowed, banned.
_NOT_LET_IN = frozenset({0x86, 0x87, 0x8A, 0x8C})


def mqtt_of(connection: Connection, *, client: str, protocol: str, stays: bool) -> paho.Client:
    """A client that is not connected; `stays` where the broker keeps its session. It does not
    connect anew by itself. Raises `Misconfigured`.
    """
    server = server_of(connection, SCHEMES)
    is_5 = protocol == "5"
    made = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client,
        clean_session=None if is_5 else not stays,
        protocol=paho.MQTTv5 if is_5 else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    if server.user:
        made.username_pw_set(server.user, server.secret or None)
    if server.tls:
        made.tls_set_context(ssl.create_default_context())
    made.connect_timeout = CONNECT_S
    return made


def properties_for(packet: int) -> Any:
    """Properties of MQTT 5: the library gives them no types."""
    return Properties(packet)  # type: ignore[no-untyped-call]


class MqttPublisher:
    """A connection to an MQTT broker by which messages are published."""

    def __init__(self, client: paho.Client, *, is_5: bool) -> None:
        self._client = client
        self._pump = Pump(client)
        self._is_5 = is_5
        self._is_doubtful = False
        self._loop = asyncio.get_running_loop()
        self._most_bytes: int | None = None  # in one packet, where the broker tells
        self._waiting: dict[int, asyncio.Future[ReasonCode | None]] = {}
        self._let_in: asyncio.Future[ReasonCode] = self._loop.create_future()
        # These are called by the pump's thread.
        client.on_connect = lambda _c, _u, _f, code, told: self._later(self._on_connect, code, told)
        client.on_publish = lambda _c, _u, mid, code, _p: self._later(self._on_publish, mid, code)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._later(self._on_end, code)

    def _later(self, call: Any, *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)

    async def open(self, connection: Connection) -> MqttPublisher:
        """Connects. Raises `ClientFailed`."""
        server = server_of(connection, SCHEMES)
        try:
            await asyncio.to_thread(self._client.connect, server.host, server.port, KEEPALIVE_S)
        except (OSError, ValueError) as wrong:
            self._pump.stop()
            raise unreachable(connection, wrong) from wrong
        self._pump.start()
        try:
            async with asyncio.timeout(CONNECT_S):
                code = await self._let_in
        except TimeoutError as late:
            await self.close()
            raise unreachable(connection, late) from late
        if code.is_failure:
            await self.close()
            raise ClientFailed(
                f"the MQTT broker does not let the connection {connection.name} in: {code}",
                permanent=code.value in _NOT_LET_IN,
            )
        return self

    def is_open(self) -> bool:
        """Whether the line holds."""
        return self._client.is_connected() and not self._is_doubtful

    async def close(self) -> None:
        """Leaves."""
        self._client.disconnect()
        await asyncio.to_thread(self._pump.stop)

    async def publish(
        self,
        topic: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        id: str,
        content_type: str,
        retain: bool,
    ) -> bool | None:
        """Returns when the broker has the message; tells whether anybody has subscribed to it, as
        far as the broker does. Raises `ClientFailed`.
        """
        if self._most_bytes is not None and len(body) > self._most_bytes:
            raise ClientFailed(
                f"the message has {len(body)} bytes, and the MQTT broker takes {self._most_bytes}"
                " (its maximum packet size)",
                permanent=True,
            )
        properties: Any = None
        if self._is_5:
            properties = properties_for(PacketTypes.PUBLISH)
            properties.UserProperty = [*headers.items(), (_KEY, id)]
            properties.ContentType = content_type
        try:
            sent = self._client.publish(topic, body, 1, retain, properties)
        except ValueError as wrong:
            raise ClientFailed(
                f"MQTT takes no such message: {words(wrong)}", permanent=True
            ) from wrong
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._is_doubtful = True
            raise ClientFailed(f"the MQTT broker is gone: {paho.error_string(sent.rc)}")
        told = self._waiting.setdefault(sent.mid, self._loop.create_future())
        try:
            async with asyncio.timeout(_CONFIRMED_S):
                code = await told
        except TimeoutError:
            self._is_doubtful = True
            raise ClientFailed("the MQTT broker did not confirm the message") from None
        finally:
            self._waiting.pop(sent.mid, None)
        if code is None:
            raise ClientFailed("the MQTT broker went away before it confirmed the message")
        if code.is_failure:
            raise ClientFailed(
                f"the MQTT broker refused the message: {code}", permanent=code.value in _PERMANENT
            )
        return code.value != _NOBODY if self._is_5 else None

    def _on_connect(self, code: ReasonCode, told: Any) -> None:
        self._most_bytes = getattr(told, "MaximumPacketSize", None)
        if not self._let_in.done():
            self._let_in.set_result(code)

    def _on_publish(self, mid: int, code: ReasonCode) -> None:
        told = self._waiting.get(mid)
        if told is not None and not told.done():
            told.set_result(code)

    def _on_end(self, code: ReasonCode) -> None:
        self._on_connect(code, None)
        for told in self._waiting.values():
            if not told.done():
                told.set_result(None)


async def _open(connection: Connection, *, protocol: str) -> MqttPublisher:
    client = mqtt_of(connection, client="", protocol=protocol, stays=False)
    return await MqttPublisher(client, is_5=protocol == "5").open(connection)


async def _check(connection: Connection, _http: Http) -> str:
    """Tries the newer version first: a broker that does not speak it hangs up."""
    try:
        protocol, line = "5", await _open(connection, protocol="5")
    except ClientFailed as failed:
        if failed.permanent:
            raise
        protocol, line = "3.1.1", await _open(connection, protocol="3.1.1")
    await line.close()
    return f"a broker of MQTT {protocol} lets the account in"


def publisher(protocol: str) -> Client[MqttPublisher]:
    """The client that speaks this version of MQTT: `5` or `3.1.1`."""
    return Client(
        name=f"mqtt-publisher {protocol}",
        open=partial(_open, protocol=protocol),
        close=MqttPublisher.close,
        is_open=MqttPublisher.is_open,
    )


kind = ConnectionKind(name="mqtt", check=_check)
