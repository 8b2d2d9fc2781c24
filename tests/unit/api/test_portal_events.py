"""Events of a Bitrix24 portal at `/in/{source}`: verified, heard, and stored where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from beltline.engine.ports import StoreAway
from tests.unit.api.calling import Answered
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking

HEAD = (
    "source: crm\nkind: bitrix24\nprocess: lead\nconnection: crm\nevery: 5m\n"
    "records: [lead, 1036]\n"
)
RIGHT = "t0ken"
TOKEN = 'application_token: {secret: "${PORTAL_TOKEN}"}\n'


class Portal:
    """A portal that sends events to the source."""

    def __init__(self, stage: Stage, home: Path, rest: str = TOKEN) -> None:
        self.stage = stage
        self.looking = Looking(stage, HEAD + rest, home)
        stage.sources["crm"] = self.looking.source
        stage.hub.feeds._feeds["crm"] = self.looking.feed
        stage.secrets["PORTAL_TOKEN"] = RIGHT

    async def send(
        self, event: str, *fields: tuple[str, str], token: str = RIGHT, method: str = "POST"
    ) -> Answered:
        pairs = [("event", event), ("event_handler_id", "3"), *fields, ("ts", "1790000000")]
        body = urlencode([*pairs, ("auth[application_token]", token)]).encode()
        kind = "application/x-www-form-urlencoded"
        return await self.stage.send("crm", body, content_type=kind, method=method)

    @property
    def rung(self) -> dict[str, int | None]:
        rings: Any = self.looking.feed._rings
        return dict(rings._rung)


@pytest.fixture
def portal(stage: Stage, tmp_path: Path) -> Portal:
    return Portal(stage, tmp_path)


ID = ("data[FIELDS][ID]", "7")


async def test_a_verified_event_of_a_record_rings_and_stores_nothing(portal: Portal) -> None:
    answer = await portal.send("ONCRMLEADUPDATE", ID)
    assert answer.status == 200
    assert answer.json() == {"event": "ONCRMLEADUPDATE", "outcome": "rung", "request": None}
    assert portal.rung == {"lead": 1_790_000_000}
    await portal.send("ONCRMDYNAMICITEMADD", ID, ("data[FIELDS][ENTITY_TYPE_ID]", "1036"))
    assert set(portal.rung) == {"lead", "smart-1036"}
    assert await portal.looking.bodies() == []


@pytest.mark.parametrize("token", ["", "t0keN", "t0ken2", "t0ke"])
async def test_a_forged_token_is_refused_and_rings_nothing(portal: Portal, token: str) -> None:
    for event in ("ONCRMLEADUPDATE", "ONCRMLEADDELETE"):
        answer = await portal.send(event, ID, token=token)
        assert (answer.status, _kind(answer)) == (401, "unverified-sender")
    assert portal.rung == {}
    assert await portal.looking.bodies() == []
    noted = [(one.kind, one.body) for one in await portal.looking.verdicts()]
    assert noted == [("unverified-sender", None)] * 2


async def test_only_a_form_is_looked_at(portal: Portal) -> None:
    sent = {"event": "ONCRMLEADUPDATE", "auth": {"application_token": "t0ken"}}
    assert (await portal.stage.send("crm", sent)).status == 401
    assert portal.rung == {}


async def test_without_the_secret_nothing_is_taken(portal: Portal) -> None:
    del portal.stage.secrets["PORTAL_TOKEN"]
    answer = await portal.send("ONCRMLEADUPDATE", ID)
    assert (answer.status, _kind(answer)) == (503, "source-not-ready")
    assert portal.rung == {}


async def test_two_tokens_hold_while_one_is_exchanged_for_the_other(portal: Portal) -> None:
    portal.stage.secrets["PORTAL_TOKEN"] = "n3w\nt0ken\n"
    assert (await portal.send("ONCRMLEADADD", ID, token="n3w")).status == 200
    assert (await portal.send("ONCRMLEADADD", ID)).status == 200
    assert (await portal.send("ONCRMLEADADD", ID, token="n3w\nt0ken")).status == 401


async def test_a_deletion_is_a_request_before_it_is_answered_and_told_once(
    portal: Portal,
) -> None:
    first = (await portal.send("ONCRMLEADDELETE", ID)).json()
    assert first["outcome"] == "taken"
    again = (await portal.send("ONCRMLEADDELETE", ID, ("event_id", "other"))).json()
    assert again == {**first, "outcome": "known"}
    [only] = await portal.looking.requests()
    assert only["request"] == {"event": "lead.delete", "id": 7}
    assert only["meta"]["found"] == "event"
    assert only["meta"]["id"] == first["request"]
    assert portal.looking.door.state.brought == 1


async def test_a_deletion_without_an_id_is_refused(portal: Portal) -> None:
    assert (await portal.send("ONCRMLEADDELETE")).status == 422


async def test_events_that_the_file_does_not_ask_for_are_ignored(
    stage: Stage, tmp_path: Path
) -> None:
    portal = Portal(stage, tmp_path, TOKEN + "on: [add]\nevents: [ONVOXIMPLANTCALLEND]\n")
    for event in ("ONCRMDEALADD", "ONCRMLEADUPDATE", "ONCRMLEADDELETE", "ONIMCONNECTORLINEDELETE"):
        assert (await portal.send(event, ID)).json()["outcome"] == "ignored"
    assert portal.rung == {}
    for duration in ("5", "5", "6"):
        await portal.send("ONVOXIMPLANTCALLEND", ("data[CALL_DURATION]", duration))
    assert await portal.looking.bodies() == [
        {"event": "ONVOXIMPLANTCALLEND", "data": {"CALL_DURATION": duration}}
        for duration in ("5", "6")
    ]


async def test_a_ring_is_heard_while_the_store_is_away_and_a_deletion_is_not_promised(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise StoreAway("it is away")

    monkeypatch.setattr(portal.stage.hub.node.intake, "submit", away)
    assert (await portal.send("ONCRMLEADUPDATE", ID)).status == 200
    answer = await portal.send("ONCRMLEADDELETE", ID)
    assert (answer.status, _kind(answer)) == (503, "not-accepting")


async def test_nobody_may_send_to_a_source_without_a_token(stage: Stage, tmp_path: Path) -> None:
    portal = Portal(stage, tmp_path, "")
    assert (await portal.send("ONCRMLEADUPDATE", ID)).status == 404
    assert portal.rung == {}


async def test_other_methods_and_a_feed_that_is_not_there_yet(portal: Portal) -> None:
    answer = await portal.send("ONCRMLEADUPDATE", ID, method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    portal.stage.hub.feeds._feeds.clear()
    assert (await portal.send("ONCRMLEADUPDATE", ID)).status == 503


async def test_the_list_of_sources_tells_where_events_go(portal: Portal, tmp_path: Path) -> None:
    listed = {one["source"]: one for one in (await _sources(portal.stage))}
    assert (listed["crm"]["kind"], listed["crm"]["path"], listed["crm"]["verify"]) == (
        *("bitrix24", "/in/crm", "bitrix24"),
    )
    Portal(portal.stage, tmp_path, "")
    listed = {one["source"]: one for one in (await _sources(portal.stage))}
    assert (listed["crm"]["path"], listed["crm"]["verify"]) == (None, None)


def _kind(answer: Answered) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


async def _sources(stage: Stage) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = (await stage.ask("GET", "/api/v1/sources")).json()["sources"]
    return shown
