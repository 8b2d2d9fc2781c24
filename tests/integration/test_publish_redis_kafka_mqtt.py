"""Publishing to Redis, Kafka and MQTT: what arrives, what a repeat does, what is refused."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer
from redis.asyncio import Redis

from beltline.sdk import Reject, Retry
from beltline.sdk.context import idempotency_key
from tests.integration.feeding import connection
from tests.integration.module_calls import Calls
from tests.integration.publishing import At
from tests.integration.queue_brokers import Mqtt
from tests.servers.daemon import LOOPBACK
from tests.unit.catalog.shipped import SHIPPED

pytestmark = pytest.mark.slow

KEY = idempotency_key("run-1", "step-1", 1)
CLOSED = 9  # a port of loopback where nobody listens


# Redis


async def test_redis_adds_an_entry_once(call: Calls, at: At) -> None:
    broker, account, place = at("redis")
    step: dict[str, Any] = {
        "stream": place,
        "json": {"n": 1},
        "headers": {"kind": "order"},
        "field": "data",
    }
    first = await call("publish.redis", account, **step)
    assert first["repeat"] is False
    assert await call("publish.redis", account, **step) == {"id": first["id"], "repeat": True}
    async with Redis.from_url(broker.address, decode_responses=True) as client:
        entries: Any = await client.xrange(place)
        left_ms = await client.pttl(f"beltline:{{{place}}}:{place}:{KEY}")
    assert entries == [
        [
            first["id"],
            {
                "data": '{"n":1}',
                "kind": "order",
                "content-type": "application/json",
                "idempotency-key": KEY,
            },
        ]
    ] or entries == [(first["id"], entries[0][1])]
    assert entries[0][1]["idempotency-key"] == KEY
    assert 3_500_000 < left_ms <= 3_600_000


async def test_redis_without_a_memory_adds_a_second_entry(call: Calls, at: At) -> None:
    broker, account, place = at("redis")
    for _ in range(2):
        answer = await call("publish.redis", account, stream=place, text="x", known_for="0s")
        assert answer["repeat"] is False
    async with Redis.from_url(broker.address) as client:
        assert await client.xlen(place) == 2
        assert await client.keys(f"beltline:*{place}*") == []


async def test_redis_trims_a_stream(call: Calls, at: At) -> None:
    broker, account, place = at("redis")
    for number in range(300):
        await call("publish.redis", account, run=f"r{number}", stream=place, json=number, keep=100)
    async with Redis.from_url(broker.address) as client:
        assert 100 <= await client.xlen(place) < 300


async def test_what_redis_refuses(call: Calls, at: At) -> None:
    broker, account, place = at("redis")
    async with Redis.from_url(broker.address) as client:
        await client.set(place, "no stream")
        wrong = await call("publish.redis", account, stream=place, text="x")
        assert isinstance(wrong, Reject)
        assert "WRONGTYPE" in wrong.reason
        await client.config_set("maxmemory", "1")
        full = await call("publish.redis", account, stream=f"{place}-2", text="x")
        await client.config_set("maxmemory", "0")
        assert isinstance(full, Retry)
        assert "maxmemory" in full.reason
    unknown = connection("redis", broker.address, "nobody", "wr0ng")
    assert await call("publish.redis", unknown, stream="x", text="x") == Reject(
        "Redis refused the account of the connection redis"
    )


# Kafka


async def test_kafka_takes_a_message_with_its_key_and_its_header(call: Calls, at: At) -> None:
    broker, account, place = at("kafka")
    await broker.prepare(place)
    step: dict[str, Any] = {
        "topic": place,
        "json": [1],
        "key": "anna",
        "headers": {"kind": "order"},
    }
    first = await call("publish.kafka", account, **step)
    second = await call("publish.kafka", account, **step)  # a repeat is a second message
    assert second == {**first, "offset": first["offset"] + 1}
    [message, again] = await asyncio.to_thread(_consumed, broker.address, place, 2)
    for one in (message, again):
        assert (one.value(), one.key()) == (b"[1]", b"anna")
        assert dict(one.headers()) == {
            "kind": b"order",
            "content-type": b"application/json",
            "idempotency-key": KEY.encode(),
        }


def _consumed(address: str, topic: str, count: int) -> list[Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": address.removeprefix("kafka://"),
            "group.id": f"test-{topic}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    try:
        found: list[Any] = []
        while len(found) < count:
            some = consumer.consume(count - len(found), timeout=20)
            assert some
            found += some
        return found
    finally:
        consumer.close()


async def test_what_kafka_refuses(call: Calls, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    _, account, place = at("kafka")
    large = await call("publish.kafka", account, topic=place, text="x" * 1_100_000)
    assert isinstance(large, Reject)
    assert "Message size too large" in large.reason
    monkeypatch.setattr("beltline.clients.kafka._DELIVERED_MS", 1_500)
    away = connection("away", f"kafka://{LOOPBACK}:{CLOSED}")
    late = await call("publish.kafka", away, topic=place, text="x")
    assert isinstance(late, Retry)
    assert "timed out" in late.reason


# MQTT


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_mqtt_takes_a_message(call: Calls, at: At, protocol: str) -> None:
    broker, account, place = at("mqtt")
    assert isinstance(broker, Mqtt)
    is_5 = protocol == "5"
    step: dict[str, Any] = {"topic": f"{place}/x", "json": {"n": 1}, "protocol": protocol}
    if is_5:
        step["headers"] = {"kind": "order"}
    assert await call("publish.mqtt", account, **step) == {"received": False if is_5 else None}
    with broker.listening(f"{place}/#") as heard:
        async with asyncio.timeout(20):
            answer: Any = {}
            while answer.get("received") is not True:  # until the broker has the subscription
                answer = await call("publish.mqtt", account, **{**step, "protocol": "5"})
            await call("publish.mqtt", account, **step)
            message = await heard.get()
            while heard.qsize():
                message = heard.get_nowait()
    assert json.loads(message.payload) == {"n": 1}
    assert message.qos == 1
    properties: Any = message.properties
    if is_5:
        assert dict(properties.UserProperty) == {"kind": "order", "idempotency-key": KEY}
        assert properties.ContentType == "application/json"


async def test_mqtt_works_where_many_files_are_open(call: Calls, at: At) -> None:
    _, account, place = at("mqtt")
    with ExitStack() as opened:
        for _ in range(1_100):  # the library's own thread knows none above 1,023
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        told = await call("publish.mqtt", account, topic=f"{place}/many", json=1)
    assert told == {"received": False}


async def test_mqtt_keeps_what_is_retained(call: Calls, at: At) -> None:
    broker, account, place = at("mqtt")
    await call("publish.mqtt", account, topic=f"{place}/lamp", text="on", retain=True)
    with broker.listening(f"{place}/#") as heard:
        async with asyncio.timeout(20):
            message = await heard.get()
    assert (message.payload, message.retain) == (b"on", True)


def test_headers_need_mqtt_5() -> None:
    config: Any = SHIPPED["publish.mqtt"].config
    with pytest.raises(msgspec.ValidationError, match="need MQTT 5"):
        msgspec.convert(
            {"topic": "x", "text": "", "protocol": "3.1.1", "headers": {"a": "b"}}, config
        )
