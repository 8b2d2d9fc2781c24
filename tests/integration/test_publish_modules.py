"""What the modules that publish have in common, at the real brokers."""

from __future__ import annotations

import asyncio

import pytest

from beltline.sdk import Reject, Retry
from beltline.sdk.context import idempotency_key
from tests.integration.feeding import connection
from tests.integration.module_calls import Calls
from tests.integration.publishing import At, target
from tests.servers.daemon import LOOPBACK

pytestmark = pytest.mark.slow

KEY = idempotency_key("run-1", "step-1", 1)
CLOSED = 9  # a port of loopback where nobody listens


# What all have in common


async def test_many_messages_go_out_by_one_client(call: Calls, at: At) -> None:
    for name in ("nats", "rabbitmq", "redis", "kafka", "mqtt"):
        broker, account, place = at(name)
        await broker.prepare(place)
        answers = await asyncio.gather(
            *(
                call(
                    f"publish.{name}",
                    account,
                    run=f"run-{number}",
                    json=number,
                    **target(name, place),
                )
                for number in range(100)
            )
        )
        assert [one for one in answers if isinstance(one, Retry | Reject)] == []
    assert len(call.opened()) == 5


@pytest.mark.parametrize("name", ["nats", "rabbitmq", "redis", "mqtt"])
async def test_a_broker_that_was_restarted_is_published_to_by_a_new_client(
    call: Calls, at: At, name: str
) -> None:
    broker, account, place = at(name)
    await broker.prepare(place)
    assert not isinstance(
        await call(f"publish.{name}", account, json=1, **target(name, place)), Retry
    )
    await asyncio.to_thread(broker.restart)
    again = await call(f"publish.{name}", account, run="run-2", json=2, **target(name, place))
    assert not isinstance(again, Retry | Reject)


@pytest.mark.parametrize(
    ("name", "scheme"), [("nats", "nats"), ("rabbitmq", "amqp"), ("redis", "redis"), ("mqtt",) * 2]
)
async def test_a_broker_that_is_away_is_tried_again(call: Calls, name: str, scheme: str) -> None:
    account = connection(name, f"{scheme}://{LOOPBACK}:{CLOSED}", "hub", "pa55w0rd")
    answer = await call(f"publish.{name}", account, json=1, **target(name, "place"))
    assert isinstance(answer, Retry)
    assert f"no connection to {account.address}: " in answer.reason
    assert "pa55w0rd" not in answer.reason


@pytest.mark.parametrize("name", ["nats", "rabbitmq", "redis", "kafka", "mqtt"])
async def test_an_address_that_does_not_fit_is_the_operator_s(call: Calls, name: str) -> None:
    answer = await call(
        f"publish.{name}", connection(name, "https://x"), json=1, **target(name, "place")
    )
    assert isinstance(answer, Reject)
    assert "needs an address that begins with" in answer.reason
    answer = await call(f"publish.{name}", None, json=1, **target(name, "place"))
    assert isinstance(answer, Reject)
    assert "needs `connection:`" in answer.reason
