"""Feeds are run again when they fail, their state can be seen, and one node at a time looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from beltline.definition.source import Source
from beltline.engine.ids import id_of
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted
from beltline.sources.door import Door, Feed, FeedTrouble, NotTaken, Offering
from beltline.sources.feeding import Feeds
from beltline.sources.feeds import feed_of, missing_extras
from beltline.sources.refusal import RequestRefused
from beltline.sources.rounds import Rounds
from tests.unit.api.stage import NOW, Stage
from tests.unit.sources.looking import Looking, source_of

PIP = "pip install beltline"
TEXT = "source: drop\nkind: files\nprocess: lead\nfolder: in\nevery: 10s\n"


class HandBell:
    """A bell that is never rung: whoever waits tells until when, and goes on when the test says."""

    def __init__(self) -> None:
        self.waits: asyncio.Queue[int | None] = asyncio.Queue()
        self.go = asyncio.Event()

    def ring(self) -> None:
        """Nobody rings."""

    async def wait(self, until: int | None = None) -> None:
        """Waits for the test."""
        self.waits.put_nowait(until)
        await self.go.wait()
        self.go.clear()


class Scripted:
    """A feed that does what it is told, run after run."""

    def __init__(self, *script: Callable[[], Awaitable[None]]) -> None:
        self.script = list(script)

    async def run(self) -> None:
        """The next thing."""
        await self.script.pop(0)()


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


async def forever() -> None:
    """Looks, and never comes to an end."""
    await asyncio.Event().wait()


@pytest.fixture
def door(stage: Stage, tmp_path: Any) -> Door:
    return Looking(stage, TEXT, tmp_path).door


@pytest.fixture
async def bell() -> HandBell:
    return HandBell()


def feeds_of(stage: Stage, bell: HandBell, feed: Feed | None) -> Feeds:
    return Feeds(
        lambda source, door: feed,
        stage.clock,
        lambda: bell,
        lambda text: text.replace("s3cret", "[…]"),
    )


async def test_a_feed_that_fails_is_run_again_after_longer_and_longer(
    stage: Stage, door: Door, bell: HandBell
) -> None:
    trouble = failing(FeedTrouble("no way to s3cret"))
    feeds = feeds_of(stage, bell, Scripted(*[trouble] * 8, forever))
    waits = []
    with capture_logs() as logs:
        feeds.start([door])
        for _ in range(8):
            until = await bell.waits.get()
            assert until is not None
            waits.append(until - stage.clock.now())
            bell.go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    assert [line["reason"] for line in logs] == ["no way to […]"]
    state = feeds.state("drop")
    assert state is not None
    assert (state.error, state.error_at, state.is_failing) == ("no way to […]", NOW, True)
    assert feeds.is_running("drop")
    door.looked()
    assert (state.error, state.is_failing, state.looked_at) == ("no way to […]", False, NOW)
    await feeds.stop()
    assert not feeds.is_running("drop")


async def test_another_reason_is_told_and_a_long_good_time_forgets_the_waits(
    stage: Stage, door: Door, bell: HandBell
) -> None:
    async def well_for_a_while() -> None:
        stage.clock.time += 61_000
        raise NotTaken("full")

    script = [failing(ValueError("odd")), failing(ValueError("odd")), well_for_a_while]
    feeds = feeds_of(stage, bell, Scripted(*script, failing(FeedTrouble("busy", 90.0)), forever))
    waits = []
    with capture_logs() as logs:
        feeds.start([door])
        for _ in range(4):
            until = await bell.waits.get()
            assert until is not None
            waits.append(until - stage.clock.now())
            bell.go.set()
    assert waits == [1_000, 2_000, 1_000, 90_000]
    assert [line["reason"] for line in logs] == ["ValueError: odd", "full", "busy"]
    await feeds.stop()


async def test_a_feed_that_cannot_be_made_is_tried_again(
    stage: Stage, door: Door, bell: HandBell
) -> None:
    made: list[Feed | Exception] = [FeedTrouble("pip install beltline[files]"), Scripted(forever)]

    def make(source: Source, door: Door) -> Feed | None:
        one = made.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    feeds = Feeds(make, stage.clock, lambda: bell)
    feeds.start([door])
    await bell.waits.get()
    state = feeds.state("drop")
    assert state is not None
    assert state.error == "pip install beltline[files]"
    bell.go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made == []
    await feeds.stop()


async def test_a_source_that_waits_for_senders_has_no_feed(
    stage: Stage, door: Door, bell: HandBell
) -> None:
    feeds = feeds_of(stage, bell, None)
    feeds.start([door])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert feeds.state("drop") is None
    assert not feeds.is_running("drop")
    await feeds.stop()


async def test_one_of_all_nodes_looks_and_a_failed_look_is_owed(
    stage: Stage, door: Door, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bells = HandBell(), HandBell()
    other = Looking(stage, TEXT, tmp_path).door
    first = Rounds(door, stage.clock, bells[0], 10_000)
    second = Rounds(other, stage.clock, bells[1], 10_000)
    await first.begin()
    task = asyncio.create_task(second.begin())
    until = await bells[1].waits.get()
    assert until is not None
    assert 0 < until - stage.clock.now() <= 10_000
    await first.begin()  # the look failed: this node looks again, without a turn
    first.done()
    assert door.state.looked_at == NOW
    waiting = asyncio.create_task(first.begin())
    await bells[0].waits.get()
    for one in (task, waiting):
        one.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)


async def test_many_offers_keep_their_order_and_share_the_wait(stage: Stage, door: Door) -> None:
    values = [{"n": n} for n in range(50)]
    answers = await door.offer_many([Offering(value, {}, str(value["n"])) for value in values])
    assert len({answer.key for answer in answers}) == 50  # type: ignore[union-attr]
    keys = [answer.key for answer in answers]  # type: ignore[union-attr]
    assert keys == sorted(keys)
    assert door.state.brought == 50
    again = await door.offer_many([Offering(value, {}, str(value["n"])) for value in values])
    assert [answer.key for answer in again] == keys  # type: ignore[union-attr]
    assert door.state.brought == 50


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x" * 1_048_577, "too-large"),
        (nested(101), "too-deep"),
        (2**70, "unreadable-body"),
        ("\ud800", "unreadable-body"),
    ],
    ids=["large", "deep", "integer", "surrogate"],
)
async def test_what_is_no_request_is_refused_and_the_others_are_taken(
    door: Door, value: Any, kind: str
) -> None:
    _, wrong, _ = await door.offer_many([Offering(1), Offering(value), Offering(3)])
    assert isinstance(wrong, RequestRefused)
    assert wrong.kind == kind
    assert door.state.brought == 2
    with pytest.raises(RequestRefused):
        await door.offer(value)


async def test_a_full_backlog_lets_in_what_there_is_room_for(stage: Stage, tmp_path: Any) -> None:
    text = TEXT + "release: paused\nbacklog: 3\n"
    looking = Looking(stage, text, tmp_path)
    stage.add_source(text)
    offerings = [Offering({"n": n}, {}, str(n)) for n in range(5)]
    with pytest.raises(NotTaken, match="backlog"):
        await looking.door.offer_many(offerings)
    assert await looking.bodies_held() == 3
    await stage.ask("POST", "/api/v1/buffers/drop/release", {"count": 2})
    stage.clock.time += 2_000  # what is known of the backlog is a second old at most
    answers = await looking.door.offer_many(offerings)
    assert [isinstance(one, Repeat) for one in answers] == [True] * 3 + [False] * 2
    assert looking.door.state.brought == 5


async def test_another_body_under_an_identity_of_the_file_is_refused(
    stage: Stage, tmp_path: Any
) -> None:
    text = TEXT + 'identity: {by: "{{ request.id }}"}\n'
    door = Looking(stage, text, tmp_path).door
    first, same, other = await door.offer_many(
        [Offering({"id": 1, "n": 1}), Offering({"id": 1, "n": 1}), Offering({"id": 1, "n": 2})]
    )
    assert isinstance(first, Accepted)
    assert same == Repeat(first.key, same_body=True)
    assert isinstance(other, RequestRefused)
    assert other.status == 409


async def test_another_body_under_an_identity_that_its_sender_claims_is_refused(
    stage: Stage, tmp_path: Any
) -> None:
    door = Looking(stage, TEXT, tmp_path).door
    [first] = await door.offer_many([Offering(1, identity="a", is_claimed=True)])
    assert isinstance(first, Accepted)
    [other] = await door.offer_many([Offering(2, identity="a", is_claimed=True)])
    assert isinstance(other, RequestRefused)
    assert id_of(first.key) in other.detail
    [mine] = await door.offer_many([Offering(2, identity="a")])  # of the feed's own reckoning
    assert mine == Repeat(first.key, same_body=False)


async def test_a_repeat_needs_no_room_in_a_full_buffer(stage: Stage, tmp_path: Any) -> None:
    text = TEXT + "release: paused\nbacklog: {most: 2}\n"
    looking = Looking(stage, text, tmp_path)
    offerings = [Offering(n, identity=str(n)) for n in range(3)]
    with pytest.raises(NotTaken, match="as many requests wait already"):
        await looking.door.offer_many(offerings)
    assert looking.door.state.brought == 2
    again = await looking.door.offer_many(offerings[:2])
    assert [type(one) for one in again] == [Repeat, Repeat]
    assert looking.door.state.brought == 2


@pytest.mark.parametrize(
    ("rest", "package", "command"),
    [
        ("kind: files\ns3: {connection: a, bucket: abc}", "obstore", f"{PIP}[files]"),
        ("kind: poll\nsql: {connection: a, query: select 1}", "sqlalchemy", f"{PIP}[sql]"),
    ],
)
def test_what_is_not_installed_is_told(
    rest: str, package: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(f"source: a\nprocess: lead\nevery: 1m\n{rest}\n")
    assert missing_extras(source) == []
    monkeypatch.setattr(
        "beltline.sources.feeds.find_spec", lambda name: None if name == package else name
    )
    assert missing_extras(source) == [command]
    unused: Any = None
    with pytest.raises(FeedTrouble, match="not installed"):
        feed_of(source, unused, unused)
    assert missing_extras(source_of(TEXT)) == []
