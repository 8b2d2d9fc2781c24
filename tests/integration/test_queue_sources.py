"""Queue sources against real brokers: one suite, which each of them has to pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from beltline.engine.ports import StoreAway
from beltline.sources.door import NotTaken
from tests.integration.feeding import Killed, bodies, fed, prepare, runs, until
from tests.integration.queue_brokers import SERVERS, BrokerOfTests, Kafka, Mqtt
from tests.integration.queue_lines import Brokers, Line
from tests.servers.processes import NoServer
from tests.unit.api.stage import Stage, running_stage

pytestmark = pytest.mark.slow


@pytest.fixture(params=[*SERVERS, "kafka"])
def broker(request: pytest.FixtureRequest, brokers: Brokers) -> BrokerOfTests:
    try:
        return brokers.get(request.param)
    except NoServer as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def what_is_left_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """NATS waits that long for an acknowledgement before it gives a message again. The mock cluster
    of Kafka knows of no leaving: only when the time of a member is over, another may join.
    """
    monkeypatch.setattr("beltline.sources.queue.nats.ACK_WAIT_S", 3.0)
    monkeypatch.setattr("beltline.sources.queue.kafka.SESSION_MS", 4_000)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_stage(tmp_path) as stage:
        await prepare(stage)
        yield stage


async def test_each_message_becomes_one_finished_request(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker)
    await line.introduce()
    async with fed(line.feed()) as running:
        await line.publish(*range(1, 21))
        await line.finished(*range(1, 21))
        assert running.errors == []
    taken = [body["n"] for body in await bodies(stage, line.place) if body["n"]]
    assert sorted(taken) == list(range(1, 21))
    await line.nothing_comes_again(*range(1, 21))


async def test_what_came_while_nobody_listened_is_there(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker)
    await line.introduce()
    await line.publish(1, 2, 3)
    async with fed(line.feed()):
        await line.finished(1, 2, 3)


async def test_a_restart_of_the_broker_loses_nothing_and_repeats_nothing(
    stage: Stage, broker: BrokerOfTests
) -> None:
    if isinstance(broker, Kafka):
        pytest.skip("the mock cluster of Kafka lives in this process and cannot be restarted")
    line = Line(stage, broker)
    await line.introduce()
    async with fed(line.feed()):
        await line.publish(1, 2, 3)
        await line.finished(1, 2, 3)
        await asyncio.to_thread(broker.restart)
        await line.publish(4, 5, 6)
        await line.finished(*range(1, 7))
    await line.nothing_comes_again(*range(1, 7))


async def test_a_kill_between_commit_and_acknowledgement_starts_nothing_twice(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker)
    await line.introduce()
    await line.publish(1, 2, 3)

    async def die() -> None:
        raise Killed

    line.door.after = die
    async with fed(line.feed(), once=True) as running:
        await running.ended()
        assert isinstance(running.errors[0], Killed)
    line.door.after = None
    assert await runs(stage, line.place)  # the commit was made
    async with fed(line.feed()):
        await line.finished(1, 2, 3)
    assert len(line.door.offered) > 3  # they came again
    await line.nothing_comes_again(1, 2, 3)


async def test_a_kill_before_the_commit_loses_nothing(stage: Stage, broker: BrokerOfTests) -> None:
    line = Line(stage, broker)
    await line.introduce()
    await line.publish(1, 2, 3)

    async def die() -> None:
        raise Killed

    line.door.before = die
    async with fed(line.feed(), once=True) as running:
        await running.ended()
    assert len(await runs(stage, line.place)) == 0
    line.door.before = None
    async with fed(line.feed()):
        await line.finished(1, 2, 3)


async def test_a_refused_message_is_dropped_and_holds_nothing_up(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker)
    await line.introduce()
    async with fed(line.feed()) as running:
        await broker.publish(line.place, [b"{no json", b"[" * 200 + b"]" * 200])
        await line.publish(1)
        await line.finished(1)
        assert running.errors == []
    await line.nothing_comes_again(1)


async def test_a_refused_message_goes_where_the_file_says(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker, "refused: {dead_letter: DEAD}\n")
    await line.introduce()
    async with fed(line.feed()) as running:
        if isinstance(broker, Mqtt):
            with broker.listening(broker.dead_letters(line.place)) as heard:
                await broker.publish(line.place, [b"{no json"])
                message = await asyncio.wait_for(heard.get(), 20)
            assert message.payload == b"{no json"
        else:
            await broker.publish(line.place, [b"{no json"])
            [(body, reason)] = await broker.refused(line.place)
            assert body == b"{no json"
            assert reason.startswith("unreadable-body: The body is not JSON")
        await line.publish(1)
        await line.finished(1)
        assert running.errors == []
    await line.nothing_comes_again(1)


async def test_messages_wait_while_the_store_is_away(stage: Stage, broker: BrokerOfTests) -> None:
    line = Line(stage, broker)
    await line.introduce()
    away = [True]
    back = asyncio.Event()
    waited: list[float] = []

    async def refuse() -> None:
        if away[0]:
            raise NotTaken("the disk is full") if len(waited) % 2 else StoreAway("gone")

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        await back.wait()

    async def tried() -> bool:
        return len(waited) >= 1

    line.door.before = refuse
    async with fed(line.feed(pause=pause)) as running:
        await line.publish(1, 2)
        await until(tried)
        assert len(await runs(stage, line.place)) == 0
        away[0] = False
        back.set()
        await line.finished(1, 2)
        assert running.errors == []
    await line.nothing_comes_again(1, 2)


async def test_a_burst_is_taken_with_a_bounded_number_under_way(
    stage: Stage, broker: BrokerOfTests
) -> None:
    line = Line(stage, broker, "in_flight: 50\n")
    await line.introduce()
    async with fed(line.feed()):
        await line.publish(*range(1, 1_001))
        await line.finished(*range(1, 1_001))
    assert 1 <= line.door.at_once_most <= 50
    await line.nothing_comes_again(*range(1, 1_001))
