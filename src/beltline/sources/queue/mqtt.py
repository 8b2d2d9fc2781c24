"""MQTT: a subscription that the broker keeps while nobody listens (QoS 1, a session that stays).

Messages have no ids here, only numbers that are used again. What comes a second time after a crash
is told by the source's own `identity`. Two connections under one client's name would cut each other
off, so one node at a time has the turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from beltline.clients.account import Connect, Misconfigured, server_of
from beltline.clients.mqtt import KEEPALIVE_S, SCHEMES, mqtt_of, properties_for
from beltline.clients.mqtt_pump import Pump
from beltline.definition.queue import MqttQueue
from beltline.sources.queue.broker import BrokerLost, Delivery, Inflow

SESSION_S = 30 * 86_400  # how long the broker keeps what comes while no node listens
_PUBLISH_S = 30.0
_REASON = "beltline-refused"

# What the broker was asked for the last time, kept over restarts: asking for another topic does
# not end the first subscription.
Recall = Callable[[], Awaitable[Any]]
Remember = Callable[[Any], Awaitable[None]]


class MqttBroker:
    """A connection to an MQTT broker (`broker.Broker`)."""

    def __init__(
        self,
        queue: MqttQueue,
        connect: Connect,
        *,
        source: str,
        in_flight: int,
        recall: Recall,
        remember: Remember,
    ) -> None:
        self._queue = queue
        self._connect = connect
        self._name = queue.client or f"beltline-{source}"
        self._in_flight = in_flight
        self._recall = recall
        self._remember = remember
        self._is_5 = queue.protocol == "5"
        self._client: paho.Client | None = None
        self._pump: Pump | None = None
        self._inflow = Inflow()
        self._open: deque[_Open] = deque()

    # Its beginning and end

    async def begin(self) -> None:
        connection = self._connect()
        server = server_of(connection, SCHEMES)
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[None] = loop.create_future()
        subscribed: asyncio.Future[None] = loop.create_future()
        # It does not connect anew by itself: messages that it had given count no more then.
        client = self._client = mqtt_of(
            connection, client=self._name, protocol=self._queue.protocol, stays=True
        )

        # All of these are called by the pump's thread.
        def on_connect(_c: Any, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
            loop.call_soon_threadsafe(_answer, connected, code, "does not let us in")

        def on_subscribe(_c: Any, _u: Any, _m: Any, codes: list[ReasonCode], _p: Any) -> None:
            loop.call_soon_threadsafe(_answer, subscribed, codes[0], "gives no such topic")

        def on_disconnect(_c: Any, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
            gone = BrokerLost(f"the MQTT broker is gone: {code}")
            loop.call_soon_threadsafe(self._break_off, gone, (connected, subscribed))

        def on_message(_c: Any, _u: Any, message: paho.MQTTMessage) -> None:
            loop.call_soon_threadsafe(self._take, message)

        client.on_connect, client.on_subscribe = on_connect, on_subscribe
        client.on_disconnect, client.on_message = on_disconnect, on_message
        await asyncio.to_thread(self._open_connection, client, server.host, server.port)
        self._pump = Pump(client)
        self._pump.start()
        await connected
        former = await self._recall()
        await self._remember({"topic": self._queue.topic})
        if isinstance(former, dict) and former.get("topic") not in (None, self._queue.topic):
            client.unsubscribe(former["topic"])
        self._subscribe(client)
        await subscribed

    def _open_connection(self, client: paho.Client, host: str, port: int) -> None:
        if not self._is_5:
            client.connect(host, port, KEEPALIVE_S)
            return
        wanted = properties_for(PacketTypes.CONNECT)
        wanted.SessionExpiryInterval = SESSION_S
        wanted.ReceiveMaximum = self._in_flight
        client.connect(host, port, KEEPALIVE_S, clean_start=False, properties=wanted)

    def _subscribe(self, client: paho.Client) -> None:
        if self._is_5:
            # What is retained comes with a new subscription, and not again at each new beginning.
            options = SubscribeOptions(qos=1, retainHandling=1)
            client.subscribe(self._queue.topic, options=options)
        else:
            client.subscribe(self._queue.topic, qos=1)

    async def end(self) -> None:
        if self._client is not None:
            self._client.disconnect()
        if self._pump is not None:
            await asyncio.to_thread(self._pump.stop)

    def _break_off(self, reason: BrokerLost, asked: tuple[asyncio.Future[None], ...]) -> None:
        self._inflow.break_off(reason)
        for told in asked:
            if not told.done():
                told.set_exception(reason)
                return

    # Messages

    def _take(self, message: paho.MQTTMessage) -> None:
        opened = _Open(message)
        self._open.append(opened)
        self._inflow.put(_delivery(message, opened))

    async def receive(self, most: int) -> list[Delivery]:
        return await self._inflow.take(most)

    async def acknowledge(self, delivery: Delivery) -> None:
        """MQTT asks for acknowledgements in the order in which the messages came."""
        assert self._client is not None
        delivery.handle.is_done = True
        while self._open and self._open[0].is_done:
            message = self._open.popleft().message
            code = self._client.ack(message.mid, message.qos)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise BrokerLost(f"the MQTT broker is gone: {paho.error_string(code)}")

    async def keep(self, delivery: Delivery) -> None:
        """A message stays with its client for as long as it is connected."""

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        assert self._client is not None
        properties: Any = None
        if self._is_5:
            properties = properties_for(PacketTypes.PUBLISH)
            properties.UserProperty = [(_REASON, reason)]
        told = self._client.publish(target, delivery.body, qos=1, properties=properties)
        await asyncio.to_thread(told.wait_for_publish, _PUBLISH_S)
        if not told.is_published():
            raise BrokerLost(f"the MQTT broker took no message for {target}")


class _Open:
    """A message that is not acknowledged."""

    __slots__ = ("is_done", "message")

    def __init__(self, message: paho.MQTTMessage) -> None:
        self.message = message
        self.is_done = False


def _answer(told: asyncio.Future[None], code: ReasonCode, what: str) -> None:
    if told.done():
        return
    if code.is_failure:
        told.set_exception(Misconfigured(f"the MQTT broker {what}: {code}"))
    else:
        told.set_result(None)


def _delivery(message: paho.MQTTMessage, opened: _Open) -> Delivery:
    properties = message.properties
    headers: list[tuple[str, bytes]] = []
    if properties is not None:
        pairs = getattr(properties, "UserProperty", [])
        headers = [(name, value.encode()) for name, value in pairs]
        kind = getattr(properties, "ContentType", "")
        if kind:
            headers.append(("content-type", kind.encode()))
    return Delivery(
        body=bytes(message.payload),
        headers=headers,
        where={"topic": _topic(message), "retained": message.retain},
        identity=None,
        handle=opened,
    )


def _topic(message: paho.MQTTMessage) -> str:
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""
