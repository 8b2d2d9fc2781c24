"""Publishing to NATS and RabbitMQ: what arrives, what a repeat does, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aio_pika
import nats
import pytest

from beltline.sdk import Reject, Retry
from beltline.sdk.context import idempotency_key
from tests.integration.feeding import connection
from tests.integration.module_calls import Calls
from tests.integration.publishing import At
from tests.servers.brokers import nats_server
from tests.servers.daemon import LOOPBACK
from tests.servers.wanted import wanted

pytestmark = pytest.mark.slow

KEY = idempotency_key("run-1", "step-1", 1)
CLOSED = 9  # a port of loopback where nobody listens


# NATS


async def test_nats_keeps_a_message_once(call: Calls, at: At) -> None:
    broker, account, place = at("nats")
    await broker.prepare(place)
    step: dict[str, Any] = {
        "subject": f"{place}.x",
        "json": {"n": "ё"},
        "headers": {"kind": "order"},
    }
    assert await call("publish.nats", account, **step) == {
        "stream": place,
        "sequence": 1,
        "repeat": False,
    }
    assert (await call("publish.nats", account, **step))["repeat"] is True
    async with await nats.connect(broker.address) as client:
        about = await client.jetstream().stream_info(place)
        kept = await client.jetstream().get_msg(place, 1)
    assert about.state.messages == 1
    assert kept.data == '{"n":"ё"}'.encode()
    assert kept.headers == {
        "kind": "order",
        "Content-Type": "application/json",
        "Nats-Msg-Id": KEY,
    }


async def test_what_nats_refuses(call: Calls, at: At) -> None:
    broker, account, place = at("nats")
    await broker.prepare(place)
    nobody = await call("publish.nats", account, subject="nobody.keeps", text="x")
    assert isinstance(nobody, Retry)
    assert nobody.reason == "no stream of NATS keeps the subject nobody.keeps"
    other = await call("publish.nats", account, subject=f"{place}.x", stream="OTHER", text="x")
    assert isinstance(other, Reject)
    assert "expected stream does not match" in other.reason
    large = await call("publish.nats", account, subject=f"{place}.x", text="x" * 2**20 + "x")
    assert isinstance(large, Reject)
    assert "max_payload" in large.reason
    assert len(call.opened()) == 1  # none of them ended it


async def test_a_subject_that_an_account_may_not_use_is_told(
    call: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.clients.nats._ACK_S", 0.5)
    rights = 'permissions: {publish: {deny: "no.>"}}'
    more = f"authorization {{ users: [{{user: hub, password: s3cret, {rights}}}] }}"
    with wanted(nats_server(tmp_path / "nats", more)) as server:
        address = f"nats://{LOOPBACK}:{server.port}"
        refused = await call(
            "publish.nats", connection("nats", address, "hub", "x"), subject="a", text=""
        )
        denied = await call(
            "publish.nats", connection("nats2", address, "hub", "s3cret"), subject="no.way", text=""
        )
    assert refused == Reject("NATS refused the account of the connection nats")
    assert denied == Reject("the account may not publish under no.way")


# RabbitMQ


async def test_rabbitmq_takes_a_persistent_message_with_its_id(call: Calls, at: At) -> None:
    broker, account, place = at("rabbitmq")
    await broker.prepare(place)
    for _ in range(2):  # a repeat is a second message under the same id
        answer = await call(
            "publish.rabbitmq", account, routing_key=place, text="hello", headers={"kind": "order"}
        )
        assert answer == {"message_id": KEY}
    async with await aio_pika.connect(broker.address) as client:
        queue = await (await client.channel()).get_queue(place)
        kept = [await queue.get(timeout=5, no_ack=True) for _ in range(2)]
    for one in kept:
        assert one is not None
        assert (one.body, one.message_id) == (b"hello", KEY)
        assert one.headers == {"kind": "order"}
        assert one.content_type == "text/plain; charset=utf-8"
        assert one.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_what_no_queue_of_rabbitmq_takes_is_not_lost(call: Calls, at: At) -> None:
    broker, account, place = at("rabbitmq")
    await broker.prepare(place)
    no_queue = await call("publish.rabbitmq", account, routing_key=f"{place}-none", text="x")
    assert no_queue == Retry(
        f"no queue takes messages of the default exchange with the key '{place}-none'"
    )
    # A wrong exchange fails itself, and nothing that goes to others at the same time.
    wrong, *good = await asyncio.gather(
        call("publish.rabbitmq", account, exchange="nowhere", routing_key="x", text="x"),
        *(
            call("publish.rabbitmq", account, run=f"r{n}", routing_key=place, text="x")
            for n in range(20)
        ),
    )
    assert wrong == Retry("RabbitMQ has no exchange 'nowhere'")
    assert all(isinstance(one, dict) for one in good)
    assert len(call.opened()) == 1


async def test_a_queue_of_rabbitmq_that_is_full_refuses(call: Calls, at: At) -> None:
    broker, account, place = at("rabbitmq")
    arguments: Any = {"x-max-length": 1, "x-overflow": "reject-publish"}
    async with await aio_pika.connect(broker.address) as client:
        channel = await client.channel()
        await channel.declare_queue(place, durable=True, arguments=arguments)
    assert isinstance(await call("publish.rabbitmq", account, routing_key=place, text="1"), dict)
    full = await call("publish.rabbitmq", account, run="run-2", routing_key=place, text="2")
    assert isinstance(full, Retry)
    assert "the queue is full" in full.reason


async def test_rabbitmq_refuses_a_wrong_password(call: Calls, at: At) -> None:
    broker, _, place = at("rabbitmq")
    account = connection("rabbitmq", broker.address, "guest", "wr0ng")
    answer = await call("publish.rabbitmq", account, routing_key=place, text="x")
    assert answer == Reject("RabbitMQ refused the account of the connection rabbitmq")
