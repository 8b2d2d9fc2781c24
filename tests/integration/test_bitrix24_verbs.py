"""What each Bitrix24 module does for each kind of entry, against the stand-in portal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from beltline.sdk import Reject, Retry
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_steps import Stand, open_stand


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A portal, and steps against it."""
    async with open_stand(tmp_path / "portal.db") as made:
        yield made


# Every verb, for each kind of entry


@pytest.mark.parametrize("kind", ["lead", "deal", "contact", "company"])
async def test_an_entry_of_each_kind_from_adding_to_listing(stand: Stand, kind: str) -> None:
    plural = "companies" if kind == "company" else f"{kind}s"
    name = "name" if kind == "contact" else "title"
    ids = []
    for number in range(3):
        params = {name: f"N{number}", "fields": {"COMMENTS": "x", "UF_CRM_7": str(number)}}
        added = await stand.step(f"add-{kind}", params, run=f"run-{number}")
        ids.append(added["ID"])
    change = {"id": ids[1], "fields": {"COMMENTS": "y", "UF_CRM_7": "seven"}}
    assert await stand.step(f"update-{kind}", change) == {"ID": ids[1]}
    changed = await stand.step(f"get-{kind}", {"id": ids[1]})
    assert (changed["COMMENTS"], changed["UF_CRM_7"]) == ("y", "seven")

    same = {"filter": {"=COMMENTS": "x"}, "select": ["ID", "COMMENTS"]}
    listed = await stand.step(f"list-{plural}", same)
    assert [entry["ID"] for entry in listed["items"]] == [ids[0], ids[2]]
    assert (listed["total"], listed["next"]) == (2, None)
    gone = await stand.step(f"get-{kind}", {"id": 404})
    assert gone == Reject(f"crm.{kind}.get: Not found (status 400)")


@pytest.mark.parametrize("kind", ["lead", "contact", "company"])
async def test_a_phone_is_found_and_is_added_once(stand: Stand, kind: str) -> None:
    name = "name" if kind == "contact" else "title"
    added = await stand.step(f"add-{kind}", {name: "A", "phone": "+7 916 123-45-67"})
    more = {"PHONE": ["89161234567", "79990000000"], "EMAIL": "anna@site.example"}
    for _ in range(2):
        await stand.step(f"update-{kind}", {"id": added["ID"], "fields": more})
    found = await stand.step(f"find-{kind}", {"phone": "79990000000"})
    assert found["ID"] == added["ID"]
    assert [one["VALUE"] for one in found["PHONE"]] == ["+7 916 123-45-67", "79990000000"]
    assert [one["VALUE"] for one in found["EMAIL"]] == ["anna@site.example"]
    first = found["PHONE"][0]["ID"]
    gone = {"PHONE": [{"ID": first, "DELETE": "Y"}]}
    await stand.step(f"update-{kind}", {"id": added["ID"], "fields": gone})
    left = await stand.step(f"get-{kind}", {"id": added["ID"]})
    assert [one["VALUE"] for one in left["PHONE"]] == ["79990000000"]
    assert await stand.step(f"find-{kind}", {"phone": "89161234567"}) == {"ID": ""}


async def test_a_lead_that_was_closed_is_not_found(stand: Stand) -> None:
    older = await stand.step("add-lead", {"title": "A", "phone": "79161234567"}, run="run-1")
    newer = await stand.step("add-lead", {"title": "B", "phone": "79161234567"}, run="run-2")
    by_phone = {"phone": "79161234567"}
    assert (await stand.step("find-lead", by_phone))["ID"] == newer["ID"]
    for lead, found in ((newer, older["ID"]), (older, "")):
        closed = {"id": lead["ID"], "fields": {"STATUS_ID": "JUNK"}}
        await stand.step("update-lead", closed)
        assert (await stand.step("find-lead", by_phone))["ID"] == found


async def test_a_list_of_more_than_one_page_is_read_to_its_end(stand: Stand) -> None:
    add = {"method": "crm.deal.add", "params": {"fields": {"TITLE": "Deal"}}}
    for _ in range(2):
        await stand.step("batch", {"commands": {f"c{number}": add for number in range(50)}})
    await stand.add_deal("84")
    seen: list[str] = []
    start: int | None = 0
    while start is not None:
        listed = await stand.step("list-deals", {"start": start, "select": ["ID"]})
        seen += [entry["ID"] for entry in listed["items"]]
        start = listed["next"]
    assert seen == [str(id) for id in range(1, 102)]
    stand.client.calls.clear()
    whole = await stand.step("list-items", {"type": 2, "pages": 10, "order": {"id": "DESC"}})
    assert [item["id"] for item in whole["items"]] == list(range(101, 0, -1))
    assert len(stand.client.calls) == 3


async def test_items_are_found_changed_and_read(stand: Stand) -> None:
    fields = {"title": "Order", "opportunity": 1500, "UF_CRM_1720697698689": "site"}
    added = await stand.step("add-item", {"type": 2, "fields": fields})
    assert added["item"]["UF_CRM_1720697698689"] == "site"
    filter = {">opportunity": 1000, "=UF_CRM_1720697698689": "site"}
    found = await stand.step("find-item", {"type": 2, "filter": filter})
    assert (found["id"], found["title"]) == (added["id"], "Order")
    change = {"type": 2, "id": found["id"], "fields": {"stageId": "WON"}}
    assert (await stand.step("update-item", change))["item"]["stageId"] == "WON"
    assert (await stand.step("get-item", {"type": 2, "id": found["id"]}))["closed"] == "Y"
    none = await stand.step("find-item", {"type": 2, "filter": {"=title": "None"}})
    assert none == {"id": ""}


async def test_duplicates_of_all_kinds(stand: Stand) -> None:
    lead = await stand.step("add-lead", {"title": "A", "phone": "79161234567"})
    contact = await stand.step("add-contact", {"name": "A", "email": "anna@site.example"})
    asked = {"phones": ["8 (916) 123-45-67"], "emails": ["Anna@site.example"]}
    assert await stand.step("find-duplicates", asked) == {
        "leads": [lead["ID"]],
        "contacts": [contact["ID"]],
        "companies": [],
        "found": True,
    }


# People


async def test_a_task_is_added_once_and_is_about_its_entries(stand: Stand) -> None:
    deal = await stand.add_deal("84")
    params = {"title": "Call", "responsible": 1, "deal": deal, "deadline": "2026-12-01T18:00:00"}
    stand.portal.faults.order(Fault("lose-answer", "tasks.task.add"))
    assert isinstance(await stand.step("add-task", params), Retry)
    added = await stand.step("add-task", params, attempt=2)
    assert added["repeated"] is True
    asked = {"method": "tasks.task.list", "params": {}}
    tasks = (await stand.step("call", asked))["result"]["tasks"]
    assert [(task["id"], task["ufCrmTask"]) for task in tasks] == [(added["ID"], [f"D_{deal}"])]
    unknown = await stand.step("add-task", {**params, "responsible": 99}, run="run-2")
    assert isinstance(unknown, Reject)


async def test_an_activity_is_added_to_its_deal(stand: Stand) -> None:
    deal = await stand.add_deal("84")
    params = {"id": deal, "title": "Call back", "deadline": "2026-12-01T15:00:00+03:00"}
    added = await stand.step("add-activity", params)
    asked = {"method": "crm.activity.get", "params": {"id": int(added["ID"])}}
    stored = (await stand.step("call", asked))["result"]
    assert (stored["OWNER_ID"], stored["SUBJECT"]) == (deal, "Call back")
    assert stored["DEADLINE"] == "2026-12-01T15:00:00+03:00"
    nobody = await stand.step("add-activity", {**params, "id": 404})
    assert isinstance(nobody, Reject)


async def test_a_repeated_notification_is_shown_once(stand: Stand) -> None:
    params = {"user": 2, "message": "A new lead."}
    stand.portal.faults.order(Fault("lose-answer", "im.notify.system.add"))
    assert isinstance(await stand.step("notify", params), Retry)
    await stand.step("notify", params, attempt=2)
    await stand.step("notify", params, run="run-2")
    [row] = stand.portal.storage.rows('SELECT count(*) AS shown FROM "message"')
    assert row["shown"] == 2


async def test_a_batch_whose_commands_lean_on_one_another(stand: Stand) -> None:
    commands = {
        "lead": {
            "method": "crm.lead.add",
            "params": {"fields": {"TITLE": "A&B=[x]", "PHONE": [{"VALUE": "+7 916"}]}},
        },
        "back": {"method": "crm.lead.get", "params": {"id": "$result[lead]"}},
        "all": {"method": "crm.lead.list"},
    }
    given = await stand.step("batch", {"commands": commands})
    back = given["results"]["back"]
    assert (back["TITLE"], back["PHONE"][0]["VALUE"]) == ("A&B=[x]", "+7 916")
    assert (given["errors"], given["totals"]) == ({}, {"all": 1})

    lost = {"x": {"method": "crm.lead.get", "params": {"id": 404}}, "y": {"method": "crm.lead.add"}}
    refused = await stand.step("batch", {"commands": lost})
    assert refused == Reject("batch: 1 of the commands failed: x: Not found")
    assert await stand.count(1) == 1, "the first failure keeps the others from running"
    told = await stand.step("batch", {"commands": lost, "halt": False, "tolerate": True})
    assert (told["errors"], await stand.count(1)) == ({"x": "Not found"}, 2)
