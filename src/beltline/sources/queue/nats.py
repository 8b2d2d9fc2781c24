"""JetStream of NATS: a durable consumer that is asked for messages.

All nodes of a hub ask the same consumer, which gives each message to one of them. What is not
acknowledged within the consumer's time comes again, to whoever asks.
"""

from __future__ import annotations

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingCame
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from beltline.clients.account import Connect, Misconfigured
from beltline.clients.nats import MESSAGE_ID, connect_nats
from beltline.definition.queue import NatsQueue
from beltline.sources.queue.broker import ASK_S, BrokerLost, Delivery
from beltline.sources.queue.identity import placed, sent

ACK_WAIT_S = 30.0  # longer than the longest pause between two offers, after which `keep` is called
_MORE_S = 0.05


class NatsBroker:
    """A connection to NATS (`broker.Broker`)."""

    def __init__(
        self,
        queue: NatsQueue,
        connect: Connect,
        *,
        source: str,
        in_flight: int,
        forget_s: float | None = None,
    ) -> None:
        self._queue = queue
        self._connect = connect
        self._durable = queue.durable or f"beltline-{source.replace('.', '-')}"
        self._in_flight = in_flight
        self._forget_s = forget_s  # a consumer that nobody asks for so long goes
        self._client: Client | None = None
        self._pull: JetStreamContext.PullSubscription | None = None
        self._is_busy = True
        self._open: dict[int, Msg] = {}

    async def begin(self) -> None:
        # It does not connect anew by itself: messages that it had given count no more then.
        self._client = await connect_nats(self._connect(), name=self._durable, on_error=_ignore)
        stream = self._client.jetstream()
        try:
            await stream.stream_info(self._queue.stream)
        except NotFoundError as missing:
            raise Misconfigured(f"NATS has no stream {self._queue.stream}") from missing
        self._pull = await stream.pull_subscribe(
            self._queue.subject or "",
            durable=self._durable,
            stream=self._queue.stream,
            config=ConsumerConfig(
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=max(1_000, self._in_flight),
                inactive_threshold=self._forget_s,
            ),
        )

    async def end(self) -> None:
        """Gives back what is open, which would come only after the consumer's time otherwise."""
        if self._client is None:
            return
        try:
            if self._client.is_connected:
                for message in self._open.values():
                    await message.nak()
                await self._client.flush()
        finally:
            await self._client.close()

    async def receive(self, most: int) -> list[Delivery]:
        """A question for several waits until all of them are there, so it is asked for one first;
        as long as there are more at once, for many.
        """
        assert self._pull is not None
        assert self._client is not None
        if not self._client.is_connected:
            raise BrokerLost("the connection to NATS is gone")
        try:
            if self._is_busy and most > 1:
                messages = await self._pull.fetch(most, timeout=_MORE_S)
            else:
                messages = await self._pull.fetch(1, timeout=ASK_S)
        except (TimeoutError, NothingCame):
            self._is_busy = False
            return []
        self._is_busy = True
        for message in messages:
            self._open[message.metadata.sequence.stream] = message
        return [_delivery(message) for message in messages]

    async def acknowledge(self, delivery: Delivery) -> None:
        message: Msg = delivery.handle
        await message.ack()
        self._open.pop(message.metadata.sequence.stream, None)

    async def keep(self, delivery: Delivery) -> None:
        message: Msg = delivery.handle
        await message.in_progress()

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        assert self._client is not None
        headers = {name: value.decode("utf-8", "replace") for name, value in delivery.headers}
        headers.pop(MESSAGE_ID, None)  # the stream there would take it for the first message
        headers["Beltline-Refused"] = reason.replace("\n", " ").replace("\r", " ")
        # The answer is that of a stream: where none keeps the subject, it fails.
        stream = self._client.jetstream()
        await stream.publish(target, delivery.body, headers=headers)


async def _ignore(_error: Exception) -> None:
    """The errors of the connection are met where it is used."""


def _delivery(message: Msg) -> Delivery:
    about = message.metadata
    headers = message.headers or {}
    sequence, at = about.sequence.stream, about.timestamp.isoformat()
    id = headers.get(MESSAGE_ID)
    return Delivery(
        body=message.data,
        headers=[(name, value.encode()) for name, value in headers.items()],
        where={"stream": about.stream, "sequence": sequence, "subject": message.subject},
        identity=sent(id) if id else placed(about.stream, sequence, at),
        handle=message,
        is_again=about.num_delivered > 1,
    )
