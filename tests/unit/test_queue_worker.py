"""The worker's side of a queue, without a server: what is kept, what comes twice or too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.catalog.catalog import Catalog
from beltline.connections import Connections
from beltline.core.limits import PRODUCTION
from beltline.engine.answer_event import read_answer_event
from beltline.logs import Redaction
from beltline.sdk import ClientFailed
from beltline.sources.queue.broker import BrokerLost, Delivery
from beltline.worker import answering, consumer
from beltline.worker.calls import WorkerCalls
from beltline.worker.queue import QueueWorker
from tests.conformance.transport_kinds import Gate, modules_of
from tests.unit.api.stage import ManualClock
from tests.unit.test_worker import event


class FakeBroker:
    """One line to a broker that gives what a test puts."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Delivery | Exception] = asyncio.Queue()
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.sent: list[bytes] = []
        self.refusals: list[ClientFailed] = []

    async def open(self) -> Any:
        return self

    def receiver(self, place: str, in_flight: int) -> Any:
        return self

    async def prepare(self, place: str) -> None:
        self.tell("prepare", place)

    async def begin(self) -> None:
        self.tell("begin", None)

    async def end(self) -> None:
        self.tell("end", None)

    async def close(self) -> None:
        """As a line it is closed after each preparation."""

    def is_open(self) -> bool:
        return True

    async def receive(self, most: int) -> list[Delivery]:
        given = await self.calls.get()
        if isinstance(given, Exception):
            raise given
        return [given]

    async def acknowledge(self, delivery: Delivery) -> None:
        self.tell("acknowledge", delivery.handle)

    async def keep(self, delivery: Delivery) -> None:
        self.tell("keep", delivery.handle)

    async def send(self, place: str, body: bytes, *, id: str) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.sent.append(body)
        self.tell("send", place)

    def tell(self, what: str, about: Any) -> None:
        self.told.put_nowait((what, about))

    async def until(self, what: str, about: Any = None) -> list[str]:
        """What was told up to this."""
        seen = []
        while True:
            told = await self.told.get()
            seen.append(told[0])
            if told[0] == what and about in (None, told[1]):
                return seen


def call(
    handle: int,
    identity: str | None = "1",
    body: bytes | None = None,
    *,
    is_again: bool = False,
    **more: Any,
) -> Delivery:
    given = event(results="results", ticket="ticket", **more) if body is None else body
    return Delivery(given, [], {}, identity, handle, is_again=is_again)


@asynccontextmanager
async def worker(gate: Gate | None = None) -> AsyncIterator[tuple[FakeBroker, QueueWorker]]:
    broker = FakeBroker()
    calls = WorkerCalls(
        Catalog(modules_of(gate or Gate())), Connections({}, Redaction(), Path()), PRODUCTION
    )
    made = QueueWorker(calls, broker, ["calls"], ManualClock(), name="tests 1", concurrency=3)
    async with made.running():
        yield broker, made


async def test_the_answer_is_sent_before_the_call_is_acknowledged() -> None:
    async with worker() as (broker, _):
        broker.calls.put_nowait(call(1))
        assert await broker.until("acknowledge") == ["prepare", "begin", "send", "acknowledge"]
    [sent] = broker.sent
    answer = read_answer_event(sent)
    assert (answer.id, answer.data.ticket, answer.data.worker) == ("s/1/1", "ticket", "tests 1")
    assert msgspec.json.decode(answer.data.answer) == {"result": {"number": 7, "text": ""}}


async def test_the_broker_hears_of_a_call_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "KEEP_S", 0.01)
    gate = Gate()
    async with worker(gate) as (broker, _):
        broker.calls.put_nowait(call(1, module="waits@1"))
        await broker.until("keep", 1)
        await broker.until("keep", 1)
        gate.open()
        await broker.until("acknowledge", 1)


async def test_a_call_that_a_broker_brings_again_is_not_begun_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "AGAIN_S", 0.0)
    gate = Gate()
    async with worker(gate) as (broker, _):
        broker.calls.put_nowait(call(1, module="waits@1"))
        await gate.have_entered(1)
        broker.calls.put_nowait(BrokerLost("gone"))
        await broker.until("end")
        broker.calls.put_nowait(call(2, module="waits@1"))
        broker.calls.put_nowait(call(3, "another"))
        await broker.until("acknowledge", 3)
        gate.open()
        await broker.until("acknowledge", 2)  # as it came last
        broker.calls.put_nowait(call(4, module="waits@1"))
        assert await broker.until("acknowledge", 4) == ["acknowledge"]
    assert gate.entered == 1
    assert len(broker.sent) == 2


async def test_calls_that_nothing_tells_apart_are_all_done() -> None:
    gate = Gate()
    async with worker(gate) as (broker, _):
        for handle in (1, 2):
            broker.calls.put_nowait(call(handle, None, module="waits@1"))
        await gate.have_entered(2)
        gate.open()
        await broker.until("acknowledge")
        await broker.until("acknowledge")
        broker.calls.put_nowait(call(3, None, module="waits@1"))
        await broker.until("acknowledge", 3)
    assert len(broker.sent) == 3


@pytest.mark.parametrize(("repeat", "is_again"), [(False, False), (True, False), (False, True)])
async def test_a_handler_knows_that_a_call_may_have_been_done_before(
    repeat: bool, is_again: bool
) -> None:
    async with worker() as (broker, _):
        broker.calls.put_nowait(call(1, module="tell@1", repeat=repeat, is_again=is_again))
        await broker.until("acknowledge")
    told = msgspec.json.decode(read_answer_event(broker.sent[0]).data.answer)["result"]
    assert told["repeat"] is (repeat or is_again)


async def test_an_answer_is_sent_until_the_broker_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "AGAIN_S", 0.0)
    async with worker() as (broker, _):
        broker.refusals = [ClientFailed("away"), ClientFailed("away")]
        broker.calls.put_nowait(call(1))
        await broker.until("acknowledge")
    assert len(broker.sent) == 1


async def test_an_answer_that_the_broker_refuses_is_told_as_a_failure() -> None:
    async with worker() as (broker, _):
        broker.refusals = [ClientFailed("the message is too large", permanent=True)]
        broker.calls.put_nowait(call(1))
        await broker.until("acknowledge")
    answer = msgspec.json.decode(read_answer_event(broker.sent[0]).data.answer)
    assert answer == {"problem": {"kind": "limit", "detail": "the message is too large"}}


@pytest.mark.parametrize("body", [b"{", event(), event(results="r"), event(deadline="soon")])
async def test_what_is_no_call_is_dropped(body: bytes) -> None:
    async with worker() as (broker, _):
        broker.calls.put_nowait(call(1, body=body))
        await broker.until("acknowledge", 1)
    assert not broker.sent


async def test_a_call_that_comes_after_its_deadline_is_not_done() -> None:
    gate = Gate()
    async with worker(gate) as (broker, _):
        broker.calls.put_nowait(call(1, module="waits@1", deadline_s=0))
        await broker.until("acknowledge", 1)
    answer = msgspec.json.decode(read_answer_event(broker.sent[0]).data.answer)
    late = {"kind": "retry", "detail": "the call came after its deadline"}
    assert (answer, gate.entered) == ({"problem": late}, 0)


async def test_what_a_stopping_worker_has_not_done_is_left_to_the_broker() -> None:
    gate = Gate()
    async with worker(gate) as (broker, made):
        broker.calls.put_nowait(call(1, module="waits@1"))
        await gate.have_entered(1)
        stopping = asyncio.create_task(made.stop(0.0))
        await asyncio.sleep(0)
        broker.calls.put_nowait(call(2, "another"))
        await stopping
        assert "acknowledge" not in await broker.until("end")
        gate.open()
    assert not broker.sent
