"""The feed of queue sources, before a broker and a door of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from beltline.core.limits import TINY
from beltline.definition.queue import QueueWay, RabbitQueue
from beltline.definition.source import Source
from beltline.engine.ports import StoreAway
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted
from beltline.sources.door import FeedState, NotTaken, Offering
from beltline.sources.offering import MOST_S, offer_until_taken
from beltline.sources.queue.broker import BrokerLost, Delivery, Inflow
from beltline.sources.queue.feed import QueueFeed
from beltline.sources.queue.identity import bounded, placed, sent
from beltline.sources.queue.message import read_message
from beltline.sources.refusal import RequestRefused, identity_taken
from beltline.sources.turn import Turn

WAY = QueueWay("c", RabbitQueue("q"), in_flight=4)
ACCEPTED = Accepted(b"k" * 16, False)


def delivery(body: bytes = b"1", **more: Any) -> Delivery:
    return Delivery(
        **{"body": body, "headers": [], "where": {}, "identity": None, "handle": body, **more}
    )


class Script:
    """A broker that gives what it was told to, and then breaks off or waits."""

    def __init__(self, *batches: list[Delivery], waits: bool = False) -> None:
        self.batches = list(batches)
        self.waits = waits
        self.acknowledged: list[bytes] = []
        self.aside: list[tuple[bytes, str, str]] = []
        self.kept: list[bytes] = []
        self.asked: list[int] = []
        self.ends = 0
        self.all_given = asyncio.Event()

    async def begin(self) -> None:
        pass

    async def end(self) -> None:
        self.ends += 1

    async def receive(self, most: int) -> list[Delivery]:
        self.asked.append(most)
        await asyncio.sleep(0)
        if self.batches:
            batch = self.batches.pop(0)
            assert len(batch) <= most
            return batch
        self.all_given.set()
        if self.waits:
            await asyncio.Event().wait()
        await settle()
        raise BrokerLost("the script is over")

    async def acknowledge(self, delivery: Delivery) -> None:
        self.acknowledged.append(delivery.body)

    async def keep(self, delivery: Delivery) -> None:
        self.kept.append(delivery.body)

    async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
        self.aside.append((delivery.body, target, reason))


class DoorOfTests:
    """Answers as told, and remembers what was offered together."""

    def __init__(self) -> None:
        self.source = Source("in", WAY, "p")
        self.state = FeedState()
        self.offered: list[list[Any]] = []
        self.troubles: list[Exception] = []
        self.answers: dict[Any, Any] = {}
        self.waits: list[int] = []
        self.noted: list[str] = []
        self.gate: asyncio.Event | None = None

    async def offer_many(self, offerings: Sequence[Offering]) -> list[Any]:
        self.offered.append([one.value for one in offerings])
        if self.gate is not None:
            await self.gate.wait()
        if self.troubles:
            raise self.troubles.pop(0)
        return [self.answers.get(one.value, ACCEPTED) for one in offerings]

    async def wait_for_turn(self, _every_ms: int) -> int:
        return self.waits.pop(0) if self.waits else 0

    def looked(self) -> None:
        pass

    def refused(self, why: str) -> None:
        self.state.refused += 1

    def note(self, refused: RequestRefused, value: Any = None, meta: Any = None) -> None:
        self.noted.append(refused.kind)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def feed(door: Any, broker: Any, *, way: QueueWay = WAY, waited: Any = None, **more: Any) -> Any:
    async def pause(seconds: float) -> None:
        if waited is not None:
            waited.append(seconds)
        await asyncio.sleep(0)

    return QueueFeed(door, way, lambda: broker, TINY, pause=pause, **more)


async def run_to_end(made: Any) -> None:
    with pytest.raises(BrokerLost, match="the script is over"):
        await made.run()


async def test_a_message_is_acknowledged_when_the_door_has_taken_it() -> None:
    door, broker = DoorOfTests(), Script([delivery()], waits=True)
    door.gate = asyncio.Event()
    task = asyncio.create_task(feed(door, broker).run())
    await broker.all_given.wait()
    await settle()
    assert (door.offered, broker.acknowledged) == ([[1]], [])
    door.gate.set()
    await settle()
    assert broker.acknowledged == [b"1"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert broker.ends == 1


async def test_no_more_are_under_way_than_the_file_allows() -> None:
    door = DoorOfTests()
    broker = Script([delivery(), delivery()], [delivery(), delivery()], waits=True)
    door.gate = asyncio.Event()
    task = asyncio.create_task(feed(door, broker).run())
    await settle()
    assert broker.asked == [4, 2]  # and not again before one has landed
    door.gate.set()
    await broker.all_given.wait()
    assert broker.asked[2] >= 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_line_goes_in_its_order_and_what_gathers_goes_together() -> None:
    door = DoorOfTests()
    line = [delivery(b"%d" % n, line="x") for n in range(1, 5)]
    broker = Script(line[:1], line[1:], waits=True)
    door.gate = asyncio.Event()
    task = asyncio.create_task(feed(door, broker).run())
    await settle()
    assert door.offered == [[1]]
    door.gate.set()
    await settle()
    assert door.offered == [[1], [2, 3], [4]]  # by the batch of TINY
    assert broker.acknowledged == [b"1", b"2", b"3", b"4"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_trouble_of_the_store_is_waited_for_with_growing_pauses() -> None:
    door, broker, waited = DoorOfTests(), Script([delivery()], waits=True), list[float]()
    door.troubles = [NotTaken("full"), StoreAway("gone")] * 4
    task = asyncio.create_task(feed(door, broker, waited=waited).run())
    for _ in range(5):
        await settle()
    assert waited == [0.5, 1.0, 2.0, 4.0, 8.0, MOST_S, MOST_S, MOST_S]
    assert broker.kept == [b"1"] * 8
    assert broker.acknowledged == [b"1"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (delivery(b"{"), "unreadable-body"),
        (delivery(b""), "unreadable-body"),
        (delivery(b'{"a":1,"a":2}'), "unreadable-body"),
        (delivery(b"[" * 9 + b"]" * 9), "unreadable-body"),
        (delivery(b'"' + b"x" * 2_100 + b'"'), "too-large"),
        (delivery(fields={"a": "x" * 2_100}), "too-large"),
        (delivery(headers=[("User-Agent", b"x" * 20_000)]), "too-large"),
        (delivery(b"7"), "identity-taken"),
        (delivery(b"8"), "no-route"),
    ],
)
async def test_what_is_refused_is_set_aside_and_acknowledged(message: Delivery, kind: str) -> None:
    door = DoorOfTests()
    door.answers = {7: identity_taken(b"k" * 16), 8: RequestRefused(422, "no-route", "nowhere")}
    way = msgspec.structs.replace(WAY, dead_letter="bad")
    broker = Script([message, delivery(b"1")])
    await run_to_end(feed(door, broker, way=way))
    assert [(body, target) for body, target, _ in broker.aside] == [(message.body, "bad")]
    assert broker.aside[0][2].startswith(kind)
    assert sorted(broker.acknowledged) == sorted([message.body, b"1"])
    assert door.state.refused == 1
    is_offered = kind in {"no-route", "identity-taken"}  # what is offered the door notes
    assert door.noted == ([] if is_offered else [kind])
    dropped = Script([message])
    await run_to_end(feed(door, dropped))
    assert (dropped.aside, dropped.acknowledged) == ([], [message.body])


async def test_the_same_message_again_is_acknowledged() -> None:
    door, broker = DoorOfTests(), Script([delivery()])
    door.answers = {1: Repeat(b"k" * 16, True)}
    await run_to_end(feed(door, broker))
    assert (broker.acknowledged, door.state.refused) == ([b"1"], 0)


async def test_what_cannot_be_set_aside_is_not_acknowledged() -> None:
    class Full(Script):
        async def set_aside(self, delivery: Delivery, target: str, reason: str) -> None:
            raise BrokerLost("no such queue")

    way = msgspec.structs.replace(WAY, dead_letter="bad")
    broker = Full([delivery(b"{")], waits=True)
    with pytest.raises(BrokerLost, match="no such queue"):
        await feed(DoorOfTests(), broker, way=way).run()
    assert (broker.acknowledged, broker.ends) == ([], 1)


async def test_a_cancel_that_a_library_swallowed_is_noticed() -> None:
    class Swallowing(Script):
        async def receive(self, most: int) -> list[Delivery]:
            self.all_given.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return []
            raise AssertionError

    broker = Swallowing()
    task = asyncio.create_task(feed(DoorOfTests(), broker).run())
    await broker.all_given.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert broker.ends == 1


async def test_another_node_takes_over_when_the_turn_is_over() -> None:
    door, waited = DoorOfTests(), list[float]()
    broker = Script([delivery()], waits=True)
    made = feed(door, broker, waited=waited, turn_ms=1_000)
    now = [100.0]
    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: now[0])
        door.waits = [700, 0]
        await made._turn.begin()
        assert waited == [0.7]
        assert await made._turn.goes_on()  # it lasts still, and nobody is asked
        now[0] += 1.0
        door.waits = [50, 0]  # early by a difference of clocks
        assert await made._turn.goes_on()
        now[0] += 1.0
        door.waits = [900]
        assert not await made._turn.goes_on()
        assert made._turn.left_s() == 0


async def test_a_turn_is_kept_over_a_connection_that_breaks() -> None:
    door: Any = DoorOfTests()
    turn = Turn(door, 60_000, asyncio.sleep)
    await turn.begin()
    door.waits = [60_000]
    await turn.begin()  # it does not ask


async def test_offering_ends_where_its_task_was_cancelled() -> None:
    door: Any = DoorOfTests()
    door.troubles = [NotTaken("full")] * 100

    async def swallow(_seconds: float) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = asyncio.create_task(offer_until_taken(door, [Offering(1)], pause=swallow))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_a_broker_pushed_is_given_until_it_breaks_off() -> None:
    inflow = Inflow()
    for number in range(3):
        inflow.put(delivery(b"%d" % number))
    assert [one.body for one in await inflow.take(2)] == [b"0", b"1"]
    assert [one.body for one in await inflow.take(2)] == [b"2"]
    inflow.break_off(BrokerLost("first"))
    inflow.break_off(BrokerLost("second"))
    with pytest.raises(BrokerLost, match="first"):
        await inflow.take(2)


def test_meta_has_the_usual_headers_and_those_of_the_file() -> None:
    way = msgspec.structs.replace(WAY, headers=("x-kind",))
    headers = [
        ("X-Kind", b"a"),
        ("x-kind", b"b"),
        ("Authorization", b"Bearer s"),
        ("X-Api-Key", b"s"),
        ("Content-Type", b"text/plain"),
    ]
    value, meta = read_message(way, delivery(headers=headers, where={"exchange": "e"}), TINY)
    assert value == 1
    assert meta == {
        "headers": {"x-kind": "a, b", "content-type": "text/plain"},
        "queue": {"broker": "rabbitmq", "exchange": "e"},
    }


def test_bodies_are_json_texts_or_fields() -> None:
    text = msgspec.structs.replace(WAY, body="text")
    assert read_message(text, delivery("Привет".encode()), TINY)[0] == {"text": "Привет"}
    assert read_message(WAY, delivery(fields={"a": "1"}), TINY)[0] == {"a": "1"}
    with pytest.raises(RequestRefused, match="not UTF-8"):
        read_message(text, delivery(b"\xff"), TINY)


def test_identities_are_bounded_and_of_different_kinds() -> None:
    assert sent("a 1") != placed("a", 1)
    assert bounded("short", 10) == "short"
    assert bounded(None, 10) is None
    long, other = (bounded(sign * 1_000, 512) for sign in "ab")
    assert long is not None
    assert len(long) <= 512
    assert long != other
