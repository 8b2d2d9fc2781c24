"""What only some brokers have: ids of senders, entries of several fields, claims, partitions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aio_pika
import nats
import pytest
from confluent_kafka import Producer
from redis.asyncio import Redis

from beltline.clients.account import Misconfigured
from beltline.definition.queue import RedisQueue
from beltline.sources.queue.redis import RedisBroker
from tests.integration.feeding import bodies, connection, fed, finished, prepare, runs, until
from tests.integration.queue_brokers import Kafka
from tests.integration.queue_lines import Brokers, Line
from tests.servers.processes import NoServer
from tests.unit.api.stage import Stage, running_stage

pytestmark = pytest.mark.slow

Begin = Callable[..., Line]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_stage(tmp_path) as stage:
        await prepare(stage)
        yield stage


@pytest.fixture
def begin(stage: Stage, brokers: Brokers) -> Begin:
    """Makes a line of a broker."""

    def begin(name: str, more: str = "") -> Line:
        try:
            return Line(stage, brokers.get(name), more)
        except NoServer as missing:
            pytest.skip(str(missing))

    return begin


async def requests(line: Line) -> list[dict[str, Any]]:
    """The metas of the requests, the oldest first."""
    found = []
    for record in await runs(line.stage, line.place):
        _, stored = await line.stage.store.run(record.key)
        found.append(json.loads(stored.meta))
    return found


@pytest.mark.parametrize("name", ["nats", "rabbitmq"])
async def test_a_message_that_its_sender_sends_again_is_taken_once(begin: Begin, name: str) -> None:
    """The sender's id tells it; another body under that id is refused, and not lost."""
    line = begin(name, "refused: {dead_letter: DEAD}\nheaders: [X-Kind]\n")
    broker = line.broker
    await broker.prepare(line.place)
    async with fed(line.feed()):
        await _send(line, b'{"n": 1}')
        await finished(line.stage, line.place, 1)
        await _send(line, b'{"n": 1}')
        await _send(line, b'{"n": 2}')
        [(body, reason)] = await broker.refused(line.place)
        assert (body, reason[:14]) == (b'{"n": 2}', "identity-taken")
    await finished(line.stage, line.place, 1)
    [meta] = await requests(line)
    assert meta["headers"] == {"x-kind": "order"}
    assert meta["queue"]["broker"] == name


async def _send(line: Line, body: bytes) -> None:
    """Sends it under one id, past what a stream tells by itself."""
    if line.broker.kind == "rabbitmq":
        async with await aio_pika.connect(line.broker.address) as client:
            channel = await client.channel()
            headers: Any = {"X-Kind": "order", "Authorization": "secret"}
            message = aio_pika.Message(body, message_id="one", headers=headers)
            await channel.default_exchange.publish(message, routing_key=line.place)
        return
    async with await nats.connect(line.broker.address) as client:
        stream = client.jetstream()
        config = (await stream.stream_info(line.place)).config
        await stream.update_stream(config, duplicate_window=0.1)
        await asyncio.sleep(0.2)  # the server looks by its own clock
        told = {"Nats-Msg-Id": "one", "X-Kind": "order", "Authorization": "secret"}
        await stream.publish(f"{line.place}.x", body, headers=told)


@pytest.mark.parametrize(("name", "what"), [("nats", "stream"), ("rabbitmq", "queue")])
async def test_a_place_that_is_not_there_is_told(begin: Begin, name: str, what: str) -> None:
    line = begin(name)
    async with fed(line.feed(), once=True) as running:
        await running.ended()
    [error] = running.errors
    assert isinstance(error, Misconfigured)
    assert str(error).endswith(f"has no {what} {line.place}")


@pytest.mark.parametrize("name", ["nats", "rabbitmq", "redis", "mqtt", "kafka"])
async def test_an_address_of_another_kind_is_told(
    begin: Begin, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = begin(name)
    monkeypatch.setattr(line.broker, "address", "https://127.0.0.1:1")
    async with fed(line.feed(), once=True) as running:
        await running.ended()
    [error] = running.errors
    assert isinstance(error, Misconfigured)
    assert "needs an address that begins with" in str(error)


async def test_an_entry_of_redis_is_an_object_of_its_fields(begin: Begin) -> None:
    line = begin("redis")
    line.broker.written = lambda place: f"redis: {{stream: {place}}}"  # type: ignore[method-assign]
    whole = Line(line.stage, line.broker)
    async with Redis.from_url(line.broker.address) as client:
        await client.xadd(whole.place, {"n": "1", "имя": "Анна"})
    async with fed(whole.feed()):
        await finished(whole.stage, whole.place, 1)
    assert await bodies(whole.stage, whole.place) == [{"n": "1", "имя": "Анна"}]


async def test_what_another_node_was_given_and_left_is_claimed(begin: Begin) -> None:
    line = begin("redis")
    await line.publish(1, 2)
    account = connection("redis", line.broker.address)
    queue = RedisQueue(line.place, field="body")
    gone = RedisBroker(queue, lambda: account, source=line.place, node="gone")
    await gone.begin()
    assert len(await gone.receive(10)) == 2
    await gone.end()
    other = RedisBroker(queue, lambda: account, source=line.place, node="other", claim_ms=1)
    await other.begin()

    async def claims() -> bool:
        found.extend(await other.receive(10))
        return len(found) == 2

    found: list[Any] = []
    await until(claims)
    assert await other._claimed(10) == []  # what it has it does not claim from itself so soon
    for delivery in found:
        await other.acknowledge(delivery)
    pending: Any = await other.client.xpending(line.place, f"beltline-{line.place}")
    assert pending["pending"] == 0
    await other.end()


async def test_a_node_that_begins_anew_takes_what_it_had(begin: Begin) -> None:
    line = begin("redis")
    await line.publish(1, 2)
    account = connection("redis", line.broker.address)
    queue = RedisQueue(line.place, field="body")
    gone = RedisBroker(queue, lambda: account, source=line.place, node="node")
    await gone.begin()
    assert len(await gone.receive(10)) == 2
    await gone.end()
    async with fed(line.feed()):
        await line.finished(1, 2)


async def test_the_order_of_a_partition_is_kept(begin: Begin) -> None:
    line = begin("kafka")
    assert isinstance(line.broker, Kafka)
    await line.broker.prepare(line.place)
    producer = Producer({"bootstrap.servers": line.broker.address.removeprefix("kafka://")})
    for number in range(60):
        producer.produce(line.place, b'{"n": %d}' % number, key=b"k%d" % (number % 3))
    await asyncio.to_thread(producer.flush, 20)
    async with fed(line.feed()):
        await line.finished(*range(60))
    taken = [body["n"] for body in await bodies(line.stage, line.place)]
    for key in range(3):
        assert [n for n in taken if n % 3 == key] == list(range(key, 60, 3))
    metas = await requests(line)
    assert {meta["queue"]["key"] for meta in metas} == {"k0", "k1", "k2"}
