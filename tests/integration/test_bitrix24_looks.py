"""What a source of the kind `bitrix24` finds in the lists of a portal: each change once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beltline.sources.bitrix24.rings import Asked
from beltline.sources.door import Door, FeedTrouble
from bitrix24_portal.faults import Fault
from bitrix24_portal.fields import iso_moment
from tests.integration.bitrix24_contracts import check_against_contracts
from tests.integration.bitrix24_portal.stand import Stand, make_stand
from tests.integration.portal_looks import PortalSource
from tests.unit.api.stage import Stage, running_stage

LEADS = "records: [lead]\n"

Make = Callable[..., PortalSource]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_stage(tmp_path) as running:
        yield running


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = make_stand(tmp_path / "portal.db")
    yield made
    made.portal.close()


@pytest.fixture
async def make(
    stage: Stage, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Makes sources; what was asked of the portal fits its contracts."""
    monkeypatch.setattr("beltline.sources.bitrix24.listing.CALLS", 10_000)
    made: list[PortalSource] = []

    def begin(rest: str = LEADS) -> PortalSource:
        made.append(PortalSource(stage, stand, tmp_path, rest))
        return made[-1]

    yield begin
    for one in made:
        check_against_contracts(one.http.calls)


async def test_from_now_on_each_change_comes_once(make: Make, stand: Stand) -> None:
    crm = make()
    before = await stand.add("lead", TITLE="from before")
    await crm.look()
    assert await crm.told() == []
    new = await stand.add("lead", TITLE="new")
    await crm.look()
    await crm.update(before, "changed")
    await crm.look()
    await crm.look()
    [added, updated] = await crm.looking.requests()
    assert added["request"]["event"] == "lead.add"
    assert (added["request"]["id"], added["request"]["record"]["title"]) == (new, "new")
    assert added["meta"]["found"] == "look"
    assert updated["request"]["event"] == "lead.update"
    assert updated["request"]["record"]["title"] == "changed"


async def test_a_change_in_a_second_that_is_not_over_waits_for_the_next_look(
    make: Make, stand: Stand
) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead", TITLE="first")
    await crm.look("lead", after_s=0.4)
    assert await crm.told() == []
    assert crm.feed._rings._rung == {"lead": int(stand.clock.now())}
    await crm.update(id, "second")
    await crm.look("lead")
    [only] = await crm.looking.bodies()
    assert (only["event"], only["record"]["title"]) == ("lead.add", "second")
    await crm.update(id, "third")
    await crm.look("lead", after_s=0.1)
    await crm.update(id, "fourth")
    await crm.look("lead")
    assert [one["record"]["title"] for one in await crm.looking.bodies()] == ["second", "fourth"]


async def test_what_was_added_and_changed_before_a_look_is_added(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead")
    await crm.pass_s(3)
    await crm.update(id, "changed")
    await crm.look()
    assert await crm.told() == [f"lead.add {id}"]
    await crm.update(id, "changed again")
    await crm.look()
    assert await crm.told() == [f"lead.add {id}", f"lead.update {id}"]


async def test_what_was_found_late_as_added_does_not_come_again_as_updated(
    make: Make, stand: Stand
) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead")
    await crm.pass_s(100)
    await crm.update(id, "changed")
    await crm.look()
    await crm.look(after_s=30)
    await crm.look("lead")
    assert await crm.told() == [f"lead.add {id}"]


async def test_a_record_is_told_as_added_once_though_the_cursor_was_not_kept(
    make: Make, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead")
    with monkeypatch.context() as broken:
        broken.setattr(Door, "move_on", _killed)
        with pytest.raises(OSError, match="killed"):
            await crm.look()
    assert await crm.told() == [f"lead.add {id}"]
    crm.looking.again()
    await crm.update(id, "changed")
    await crm.look()
    await crm.look("lead")
    assert await crm.told() == [f"lead.add {id}", f"lead.update {id}"]


async def _killed(self: Door, cursor: Any) -> None:
    raise OSError("killed")


async def test_what_changes_without_its_time_is_no_change(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead")
    await crm.look()
    comment = {"ENTITY_ID": id, "ENTITY_TYPE": "lead", "COMMENT": "x"}
    await stand.call("crm.timeline.comment.add", {"fields": comment})
    await crm.look()
    assert await crm.told() == [f"lead.add {id}"]


@pytest.mark.parametrize(
    ("on", "told"),
    [("add", ["lead.add 2"]), ("update", ["lead.update 1", "lead.update 2"])],
)
async def test_only_the_changes_that_the_file_names_come(
    make: Make, stand: Stand, on: str, told: list[str]
) -> None:
    crm = make(f"{LEADS}on: [{on}]\n")
    await stand.add("lead")
    await crm.look(after_s=5)
    await stand.add("lead")
    await crm.look()
    await crm.update(1, "changed")
    await crm.update(2, "changed")
    await crm.look()
    assert await crm.told() == told


async def test_what_becomes_visible_late_is_found_by_a_whole_look(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    await crm.look(after_s=120)
    late = await stand.add("lead")
    stored = iso_moment(stand.clock.now() - 40, stand.portal.settings.zone)
    stand.portal.storage.run(
        'UPDATE "lead" SET "DATE_CREATE" = ?, "DATE_MODIFY" = ?', (stored, stored)
    )
    await crm.look("lead")
    assert await crm.told() == []
    await crm.look()
    assert await crm.told() == [f"lead.add {late}"]


async def test_pages_lose_nothing_that_changes_meanwhile(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    ids = [await stand.add("lead") for _ in range(120)]
    pages = 0

    async def change() -> None:
        nonlocal pages
        pages += 1
        await crm.pass_s(100)
        if pages == 2:
            await crm.update(ids[0], "behind the look")
            await crm.update(ids[-1], "before it")

    crm.http.before = change
    await crm.look()
    assert pages == 3
    await crm.look()
    told = await crm.told()
    assert len(told) == len(set(told)) == 121
    assert told[-1] == f"lead.update {ids[0]}"
    asked = [params["filter"][">id"] for _, params in crm.http.calls]
    assert asked[2:5] == [0, ids[49], ids[99]]
    assert all(params["start"] == -1 for _, params in crm.http.calls)


async def test_a_look_that_breaks_off_goes_on_where_it_was(make: Make, stand: Stand) -> None:
    crm = make("records: [lead]\nstart: all\n")
    ids = [await stand.add("lead") for _ in range(110)]
    stand.faults.order(Fault("error", "crm.item.list", status=502, nth=2))
    with pytest.raises(FeedTrouble, match="status 502"):
        await crm.look()
    assert len(await crm.told()) == 50
    crm.looking.again()
    await crm.look()
    assert sorted(await crm.told()) == sorted(f"lead.add {id}" for id in ids)
    asked = [params["filter"][">id"] for _, params in crm.http.calls]
    assert asked[:4] == [0, ids[49], ids[49], ids[99]]


@pytest.mark.parametrize(
    ("fault", "after_s"),
    [
        (Fault("error", status=503, error="QUERY_LIMIT_EXCEEDED"), 0),
        (Fault("error", status=429, error="OPERATION_TIME_LIMIT"), 60),
        (Fault("error", status=500), 0),
        (Fault("drop"), 0),
        (Fault("lose-answer"), 0),
    ],
)
async def test_a_portal_that_does_not_answer_is_asked_again(
    make: Make, stand: Stand, fault: Fault, after_s: float
) -> None:
    crm = make()
    await crm.look()
    id = await stand.add("lead")
    stand.faults.order(fault)
    with pytest.raises(FeedTrouble) as failed:
        await crm.look()
    assert failed.value.after_s == after_s
    await crm.look()
    assert await crm.told() == [f"lead.add {id}"]


async def test_a_kind_that_the_portal_refuses_does_not_keep_the_others(
    make: Make, stand: Stand
) -> None:
    crm = make("records: [1036, lead]\n")
    for kinds in ((), (), ("lead", "smart-1036")):
        with pytest.raises(FeedTrouble, match="ENTITY_TYPE_NOT_SUPPORTED"):
            await crm.look(*kinds)
        await stand.add("lead")
    assert await crm.told() == ["lead.add 1", "lead.add 2"]


async def test_only_the_kinds_that_were_rung_for_are_asked(make: Make, stand: Stand) -> None:
    crm = make("records: [lead, deal]\n")
    await crm.look()
    crm.http.calls.clear()
    await crm.look("deal")
    assert [params["entityTypeId"] for _, params in crm.http.calls] == [2]


async def test_an_event_that_is_older_than_a_look_asks_nothing(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    crm.http.calls.clear()
    begun_s = int(stand.clock.now())
    await crm.feed._look(Asked(False, {"lead": begun_s - 1}))
    assert crm.http.calls == []
    await crm.feed._look(Asked(False, {"lead": begun_s}))
    assert len(crm.http.calls) == 1


async def test_a_moment_narrowing_and_fields(make: Make, stand: Stand) -> None:
    await stand.add("lead", TITLE="old")
    await stand.clock.sleep(600)
    moment = stand.portal.context().moment
    await stand.clock.sleep(1)
    for amount in (5, 500):
        await stand.add("lead", TITLE="new", OPPORTUNITY=amount)
    crm = make(f"{LEADS}start: '{moment}'\nfields: [title]\nwhere: {{'>=opportunity': 100}}\n")
    await crm.look()
    [only] = await crm.looking.bodies()
    assert only["id"] == 3
    assert set(only["record"]) == {"id", "title", "createdTime", "updatedTime"}


async def test_the_portal_is_asked_in_its_own_zone(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    await crm.look()
    first, *others = [params["filter"][">=updatedTime"] for _, params in crm.http.calls]
    assert first.endswith("+00:00")
    assert {one[-6:] for one in others} == {"+03:00"}


async def test_a_record_without_its_times_is_refused_and_told(make: Make, stand: Stand) -> None:
    crm = make()
    await crm.look()
    await stand.add("lead")
    await stand.add("lead")
    stand.portal.storage.run('UPDATE "lead" SET "DATE_CREATE" = NULL WHERE "ID" = 1')
    await crm.look()
    assert await crm.told() == ["lead.add 2"]
    assert crm.looking.door.state.refused == 1
    assert crm.looking.door.state.refusal == "lead 1 has no createdTime or no updatedTime"
