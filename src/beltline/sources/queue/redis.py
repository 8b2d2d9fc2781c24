"""Redis Streams: a consumer group, which remembers what was given to whom and is not acknowledged.

Entries that were given to a node which is gone are claimed by the others after a while; those of
this node's own former life at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from beltline.clients.account import CONNECT_S, Connect
from beltline.clients.redis import redis_of
from beltline.definition.queue import RedisQueue
from beltline.sources.queue.broker import ASK_S, BrokerLost, Delivery
from beltline.sources.queue.identity import placed

CLAIM_MS = 60_000  # longer than the longest pause between two offers, after which `keep` is called
CLAIM_EVERY_S = 15.0
_REASON = "beltline-refused"

_Fields = dict[bytes, bytes]
_Entry = tuple[bytes, _Fields | None]


class RedisBroker:
    """A connection to Redis (`broker.Broker`). `node` tells this node from the others."""

    def __init__(
        self,
        queue: RedisQueue,
        connect: Connect,
        *,
        source: str,
        node: str,
        claim_ms: int = CLAIM_MS,
    ) -> None:
        self._queue = queue
        self.stream = queue.stream
        self._connect = connect
        self._group = queue.group or f"beltline-{source}"
        self._node = node
        self._claim_ms = claim_ms
        self._client: Redis | None = None
        self.here: set[bytes] = set()  # under way, so that a claim does not bring them again
        self._own_after: bytes | None = b"0"  # None: all of this node's former life is read
        self._claim_at = 0.0

    async def begin(self) -> None:
        self._client = redis_of(self._connect(), answer_s=ASK_S + CONNECT_S)
        try:
            await self._client.xgroup_create(self.stream, self._group, "0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # the group is there: nearly always
                raise

    async def end(self) -> None:
        # Whoever still has something to tell is not to open it once more.
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def receive(self, most: int) -> list[Delivery]:
        before = await self._former(most) or await self._claimed(most)
        entries = before or await self._new(most)
        deliveries = []
        for id, fields in entries:
            if fields is None:  # trimmed from the stream before it was acknowledged
                await self.client.xack(self.stream, self._group, id)
            elif id not in self.here:
                self.here.add(id)
                deliveries.append(self._delivery(id, fields, is_again=bool(before)))
        return deliveries

    async def _former(self, most: int) -> list[_Entry]:
        """What was given to this node before it began anew."""
        if self._own_after is None:
            return []
        entries = await self._read(self._own_after, most, block_ms=None)
        self._own_after = entries[-1][0] if entries else None
        return entries

    async def _claimed(self, most: int) -> list[_Entry]:
        """What others were given and left."""
        now = asyncio.get_running_loop().time()
        if now < self._claim_at:
            return []
        answer = await self.client.xautoclaim(
            self.stream, self._group, self._node, self._claim_ms, count=most
        )
        entries: list[_Entry] = answer[1]
        if len(entries) < most:
            self._claim_at = now + CLAIM_EVERY_S
        return entries

    async def _new(self, most: int) -> list[_Entry]:
        return await self._read(b">", most, block_ms=int(ASK_S * 1_000))

    async def _read(self, after: bytes, most: int, *, block_ms: int | None) -> list[_Entry]:
        answer: Any = await self.client.xreadgroup(
            self._group, self._node, {self.stream: after}, count=most, block=block_ms
        )
        if not answer:
            return []
        streams = answer.values() if isinstance(answer, dict) else [one[1] for one in answer]
        return [entry for entries in streams for entry in entries]

    def _delivery(self, id: bytes, fields: _Fields, *, is_again: bool) -> Delivery:
        texts: dict[str, str] | None = None
        body, headers = b"", fields
        if self._queue.field is None:
            texts = {_text(name): _text(value) for name, value in fields.items()}
        else:
            body_in = self._queue.field.encode()
            body = fields.get(body_in, b"")  # without one it is refused as empty
            headers = {name: value for name, value in fields.items() if name != body_in}
        return Delivery(
            body=body,
            headers=[(_text(name), value) for name, value in headers.items()],
            where={"stream": self.stream, "id": id.decode()},
            identity=placed(self.stream, id.decode()),
            handle=(id, fields),
            fields=texts,
            is_again=is_again,
        )

    async def acknowledge(self, delivery: Delivery) -> None:
        id, _ = delivery.handle
        await self.client.xack(self.stream, self._group, id)
        self.here.discard(id)

    async def keep(self, delivery: Delivery) -> None:
        """Claims it for this node again, which begins its time anew."""
        id, _ = delivery.handle
        await self.client.xclaim(self.stream, self._group, self._node, 0, [id], justid=True)

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        _, fields = delivery.handle
        await self.client.xadd(target, {**fields, _REASON: reason})

    @property
    def client(self) -> Redis:
        """The client, from `begin` on."""
        if self._client is None:
            raise BrokerLost("this line to Redis has ended")
        return self._client


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
