"""Sources of brokers: each has a place there of its own, a door, and feeds."""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from beltline.core.limits import PRODUCTION
from beltline.definition.queue import QueueWay
from beltline.sources.queue.broker import Broker, Delivery
from beltline.sources.queue.feed import QueueFeed
from beltline.sources.queue.making import queue_feed
from tests.integration.feeding import WatchedDoor, connection, fed, finished, until
from tests.integration.queue_brokers import SERVERS, BrokerOfTests, Kafka, Mqtt
from tests.unit.api.stage import Stage

NUMBERS = itertools.count(1)


class Brokers:
    """The servers, each started at the first test that asks for one of its kind."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self._folder = folder
        self._opened = opened
        self._servers: dict[Any, Any] = {}

    def get(self, name: str) -> BrokerOfTests:
        """The broker, of which others know nothing. Raises `NoServer`."""
        if name == "kafka":
            kafka: BrokerOfTests = self._servers.setdefault(name, Kafka())
            return kafka
        serve, make = SERVERS[name]
        if serve not in self._servers:
            folder = self._folder / name
            folder.mkdir()
            self._servers[serve] = self._opened.enter_context(serve(folder))
        made: BrokerOfTests = make(self._servers[serve])
        return made


class Line:
    """One source of a broker: its place there, its door, and feeds of it."""

    def __init__(self, stage: Stage, broker: BrokerOfTests, more: str = "") -> None:
        self.stage = stage
        self.broker = broker
        self.place = f"place{next(NUMBERS)}"
        self._text = (
            f"source: {self.place}\nkind: queue\nprocess: take\nconnection: c\n"
            f"{broker.written(self.place)}\n"
        )
        if not broker.gives_ids and "identity" not in more:
            more += 'identity: {by: "{{ request.n }}"}\n'
        stage.add_source(self._text + more.replace("DEAD", broker.dead_letters(self.place)))
        self.door = WatchedDoor(stage, self.place)
        self.acknowledged: set[bytes] = set()

    def feed(self, *, node: str = "node", pause: Any = None) -> QueueFeed:
        way = self.door.source.way
        assert isinstance(way, QueueWay)
        account = connection(self.broker.kind, self.broker.address)
        feed = queue_feed(way, self.door, lambda: account, PRODUCTION, node=node)
        new_broker = feed._new_broker
        feed._new_broker = lambda: self._watched(new_broker())
        if feed._turn is not None:
            feed._turn._every_ms = 100
        if pause is not None:
            feed._pause = pause
        return feed

    def _watched(self, broker: Broker) -> Broker:
        acknowledge = broker.acknowledge

        async def watched(delivery: Delivery) -> None:
            await acknowledge(delivery)
            self.acknowledged.add(delivery.body)

        broker.acknowledge = watched  # type: ignore[method-assign]
        return broker

    async def publish(self, *numbers: int) -> None:
        await self.broker.publish(self.place, [body_of(number) for number in numbers])

    async def introduce(self) -> None:
        """The place is made, and the broker knows this client."""
        await self.broker.prepare(self.place)

        async def is_connected() -> bool:
            return self.door.state.looked_at is not None

        if isinstance(self.broker, Mqtt):  # it keeps nothing for those that it does not know
            async with fed(self.feed()):
                await until(is_connected)

    async def finished(self, *numbers: int) -> None:
        """Waits until they are acknowledged, and one run of each is completed."""
        bodies = {body_of(number) for number in numbers}

        async def are_acknowledged() -> bool:
            return bodies <= self.acknowledged

        await until(are_acknowledged)
        await finished(self.stage, self.place, len(numbers))

    async def nothing_comes_again(self, *numbers: int) -> None:
        """A new feed is given the next message, and none of those before it."""
        self.door.offered.clear()
        self.door.before = self.door.after = None
        async with fed(self.feed()):
            await self.publish(0)
            await self.finished(*numbers, 0)
        assert self.door.offered == [{"n": 0}]


def body_of(number: int) -> bytes:
    return json.dumps({"n": number}).encode()
