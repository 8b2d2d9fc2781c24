"""Events of a portal: what is read from their forms, and when they make the feed look."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from beltline.core.limits import PRODUCTION
from beltline.loop import AsyncioBell
from beltline.sources.bitrix24.events import PortalEvent, read_event
from beltline.sources.bitrix24.rings import QUIET_MS, Asked, Rings
from beltline.sources.refusal import RequestRefused
from tests.unit.api.stage import ManualClock


def form(event: str, *pairs: tuple[str, str]) -> PortalEvent:
    return read_event(urlencode([("event", event), *pairs]).encode(), PRODUCTION)


ID = ("data[FIELDS][ID]", "7")


@pytest.mark.parametrize(
    ("event", "type_id", "change"),
    [
        ("ONCRMLEADADD", 1, "add"),
        ("onCrmDealUpdate", 2, "update"),
        ("ONCRMCONTACTDELETE", 3, "delete"),
        ("ONCRMCOMPANYADD", 4, "add"),
        ("ONCRMQUOTEUPDATE", 7, "update"),
        ("ONCRMDYNAMICITEMADD_1036", 1036, "add"),
        ("ONCRMDYNAMICITEMUPDATE", None, "update"),
        ("ONCRMDEALMOVETOCATEGORY", None, None),
        ("ONCRMLEADUSERFIELDADD", None, None),
        ("XONCRMLEADADD", None, None),
    ],
)
def test_the_record_that_an_event_is_about(
    event: str, type_id: int | None, change: str | None
) -> None:
    told = form(event, ID, ("ts", "1790000000"))
    assert (told.type_id, told.change, told.id, told.sent_s) == (type_id, change, 7, 1_790_000_000)
    assert told.name == event.upper()


def test_the_common_event_of_smart_processes_names_the_kind_in_its_data() -> None:
    told = form("ONCRMDYNAMICITEMDELETE", ID, ("data[FIELDS][ENTITY_TYPE_ID]", "31"))
    assert (told.type_id, told.change, told.id, told.sent_s) == (31, "delete", 7, None)


@pytest.mark.parametrize("pairs", [(), (("data", "x"),), (("data[FIELDS]", "x"),)])
def test_an_event_may_be_without_data(pairs: tuple[tuple[str, str], ...]) -> None:
    assert form("ONCRMLEADADD", *pairs).id is None


@pytest.mark.parametrize("id", ["", "0x1", "-1", "²", "1" * 16])
def test_what_is_no_id_is_none(id: str) -> None:
    assert form("ONCRMLEADADD", ("data[FIELDS][ID]", id)).id is None


@pytest.mark.parametrize("body", [b"a=b", b"event=", b"event[a]=b"])
def test_a_form_without_the_name_of_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_event(body, PRODUCTION)
    assert refused.value.status == 422


# Rings


class Turns:
    """A door at which other nodes have the turn, unless `mine`."""

    mine = False
    looks = 0

    async def wait_for_turn(self, every_ms: int) -> int:
        return 0 if self.mine else every_ms

    def looked(self) -> None:
        self.looks += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def rings(clock: ManualClock, turns: Turns) -> Rings:
    door: Any = turns
    return Rings(door, clock, AsyncioBell(clock), 300_000)


async def test_a_node_that_starts_owes_a_whole_look_until_it_went_well(rings: Rings) -> None:
    assert await rings.begin() == Asked(True, {})
    assert await rings.begin() == Asked(True, {})
    rings.done()
    await _waits(rings)


async def test_many_rings_make_one_look_when_it_was_quiet_for_a_second(
    rings: Rings, clock: ManualClock
) -> None:
    await rings.begin()
    rings.done()
    for second in (3, 1, 2):
        rings.ring("lead", second)
    rings.ring("deal", None)
    rings.ring("deal", 5)
    clock.time += QUIET_MS - 1
    await _waits(rings)
    clock.time += 1
    assert await rings.begin() == Asked(False, {"lead": 3, "deal": None})
    rings.done()
    assert rings._owed == {}


async def test_a_ring_during_a_look_makes_another_and_a_failed_look_is_owed(
    rings: Rings, clock: ManualClock
) -> None:
    await rings.begin()
    rings.done()
    rings.ring("lead", 3)
    clock.time += QUIET_MS
    assert await rings.begin() == Asked(False, {"lead": 3})
    rings.ring("deal", 4)
    assert await rings.begin() == Asked(False, {"lead": 3, "deal": 4})
    rings.ring("lead", 9)
    rings.done()
    clock.time += QUIET_MS
    assert await rings.begin() == Asked(False, {"lead": 9})


async def test_the_first_ring_alone_wakes_the_feed(rings: Rings) -> None:
    await rings.begin()
    rings.done()
    woken = 0

    def ring() -> None:
        nonlocal woken
        woken += 1

    rings._bell.ring = ring  # type: ignore[method-assign]
    for _ in range(1_000):
        rings.ring("lead", 1)
    assert woken == 1


async def test_whoever_has_the_turn_looks_at_everything(rings: Rings, turns: Turns) -> None:
    await rings.begin()
    rings.done()
    turns.mine = True
    rings.ring("lead", 3)
    assert await rings.begin() == Asked(True, {"lead": 3})
    rings.done()
    assert turns.looks == 2


async def _waits(rings: Rings) -> None:
    """There is nothing to look at now."""
    waiting = asyncio.ensure_future(rings.begin())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
