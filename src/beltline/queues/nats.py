"""Calls over NATS JetStream: two streams of a prefix, whose messages go when they are acknowledged.

    PREFIX-calls     PREFIX.calls.>      kept for a day; a durable consumer for each module
    PREFIX-results   PREFIX.results.>    the same for each hub

Consumers that nobody asks for two days go, and no message with them. An operator who wants replicas
makes the streams beforehand; they are used as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from nats.errors import Error as NatsError
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from beltline.clients.account import words
from beltline.clients.nats import NatsPublisher
from beltline.definition.queue import NatsQueue
from beltline.engine.contract import EVENT_MEDIA
from beltline.queues.broker import FORGET_MS, KEEP_MS
from beltline.sdk import ClientFailed, Connection
from beltline.sources.queue.broker import Broker
from beltline.sources.queue.nats import NatsBroker
from beltline.transports.queue import Post


class NatsPost(NatsPublisher):
    """A line by which calls and answers are sent (`transports.queue.Post`)."""

    async def send(self, place: str, body: bytes, *, id: str) -> None:
        await self.publish(place, body, {"Content-Type": EVENT_MEDIA}, id=id, stream=None)

    async def prepare(self, place: str) -> None:
        stream, _ = _stream_of(place)
        try:
            await self._make(stream, ".".join([*place.split(".")[:2], ">"]))
        except (NatsError, TimeoutError, OSError) as wrong:
            raise ClientFailed(f"NATS has no stream {stream}: {words(wrong)}") from wrong

    async def _make(self, stream: str, subjects: str) -> None:
        try:
            await self.jetstream.stream_info(stream)
        except NotFoundError:
            config = StreamConfig(
                name=stream,
                subjects=[subjects],
                retention=RetentionPolicy.WORK_QUEUE,
                storage=StorageType.FILE,
                max_age=KEEP_MS / 1_000,
            )
            try:
                await self.jetstream.add_stream(config)
            except BadRequestError:
                await self.jetstream.stream_info(stream)  # another one made it at the same moment


class NatsCalls:
    """NATS as a broker of calls (`queues.broker.CallBroker`)."""

    def __init__(self, account: Callable[[], Connection]) -> None:
        self._account = account

    async def open(self) -> Post:
        post = NatsPost()
        await post.open(self._account())
        return post

    def receiver(self, place: str, in_flight: int) -> Broker:
        stream, durable = _stream_of(place)
        queue = NatsQueue(stream, place, durable)
        forget_s = FORGET_MS / 1_000
        return NatsBroker(
            queue, self._account, source=durable, in_flight=in_flight, forget_s=forget_s
        )


def _stream_of(place: str) -> tuple[str, str]:
    """The stream that keeps a place, and the name of the consumer there, which has no dots."""
    prefix, way, rest = place.split(".", 2)
    return f"{prefix}-{way}", rest.replace(".", "_")
