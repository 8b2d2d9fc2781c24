"""Lists: filters with their prefixes, orders, selections and pages of fifty."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.bitrix24_portal.stand import Stand

DEALS: tuple[dict[str, Any], ...] = (
    {"TITLE": "Поставка упаковки", "OPPORTUNITY": 100, "STAGE_ID": "NEW", "CONTACT_IDS": [1, 2]},
    {"TITLE": "поставка_100%", "OPPORTUNITY": 200, "STAGE_ID": "WON", "COMMENTS": "срочно"},
    {"TITLE": "Сайт", "OPPORTUNITY": 300, "STAGE_ID": "LOSE", "CONTACT_IDS": [2]},
    {"TITLE": "Другое", "OPPORTUNITY": 400, "STAGE_ID": "NEW", "UF_CRM_7": "Метка"},
)


async def _deals(stand: Stand) -> None:
    for deal in DEALS:
        await stand.add("deal", **deal)
        stand.clock.moment += 3600


async def _found(stand: Stand, asked: dict[str, Any]) -> list[int]:
    rows = await stand.result("crm.deal.list", {"filter": asked, "order": {"ID": "ASC"}})
    return [int(row["ID"]) for row in rows]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"ID": 2}, [2]),
        ({"=ID": "2"}, [2]),
        ({"ID": [1, 3]}, [1, 3]),
        ({"!ID": 2}, [1, 3, 4]),
        ({"!=ID": 2}, [1, 3, 4]),
        ({">OPPORTUNITY": 200}, [3, 4]),
        ({">=OPPORTUNITY": "200"}, [2, 3, 4]),
        ({"<OPPORTUNITY": 200}, [1]),
        ({"<=OPPORTUNITY": 200}, [1, 2]),
        ({">=OPPORTUNITY": 200, "<OPPORTUNITY": 400}, [2, 3]),
        ({"@STAGE_ID": ["NEW", "WON"]}, [1, 2, 4]),
        ({"!@STAGE_ID": ["NEW", "WON"]}, [3]),
        ({"@ID": []}, []),
        ({"TITLE": "сайт"}, [3]),
        ({"%TITLE": "ПОСТАВКА"}, [1, 2]),
        ({"%TITLE": "_"}, [2]),
        ({"%TITLE": "100%"}, [2]),
        ({"!%TITLE": "поставка"}, [3, 4]),
        ({"=%TITLE": "пост%"}, [1, 2]),
        ({"%=TITLE": "%ки"}, [1]),
        ({"=%TITLE": "пост"}, []),
        ({"!=%TITLE": "пост%"}, [3, 4]),
        ({"!%=TITLE": "пост%"}, [3, 4]),
        ({"COMMENTS": ""}, [1, 3, 4]),
        ({"!COMMENTS": ""}, [2]),
        ({"!COMMENTS": "срочно"}, [1, 3, 4]),
        ({"CONTACT_ID": 1}, [1]),
        ({"CONTACT_IDS": 2}, [1, 3]),
        ({"!CONTACT_IDS": 2}, [2, 4]),
        ({"@CONTACT_IDS": [1, 9]}, [1]),
        ({"UF_CRM_7": "метка"}, [4]),
        ({">DATE_CREATE": "2026-09-21T18:00:00+03:00"}, [2, 3, 4]),
        ({">DATE_CREATE": "2026-09-21T15:00:00Z", "<DATE_CREATE": "21.09.2026 20:00:00"}, [2, 3]),
        ({"NO_SUCH_FIELD": 5}, [1, 2, 3, 4]),
        ({"stage_id": "LOSE"}, [3]),
    ],
)
async def test_a_filter_finds_what_its_prefix_says(
    stand: Stand, asked: dict[str, Any], ids: list[int]
) -> None:
    await _deals(stand)
    assert await _found(stand, asked) == ids


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"PHONE": "+7 2"}, [2]),
        ({"%PHONE": "7"}, [1, 2]),
        ({"!PHONE": "+7 2"}, [1, 3]),
        ({"PHONE": ""}, [3]),
        ({"!PHONE": ""}, [1, 2]),
        ({"@PHONE": ["+7 1", "+7 2"]}, [1, 2]),
        ({"HAS_PHONE": "N"}, [3]),
    ],
)
async def test_contacts_are_found_by_phone(
    stand: Stand, asked: dict[str, Any], ids: list[int]
) -> None:
    await stand.add("contact", PHONE=[{"VALUE": "+7 1"}])
    await stand.add("contact", PHONE=[{"VALUE": "+7 2"}, {"VALUE": "+7 3"}])
    await stand.add("contact")
    rows = await stand.result("crm.contact.list", {"filter": asked})
    assert [int(row["ID"]) for row in rows] == ids


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({">=opportunity": 200, "stageId": "NEW"}, [4]),
        ({"logic": "OR", "stageId": "WON", "opportunity": 300}, [2, 3]),
        ({"0": {"logic": "OR", "0": {"id": 1}, "1": {"id": 2}}, "stageId": "WON"}, [2]),
        ({"!contactIds": 2}, [2, 4]),
        ({"ufCrm_7": "Метка"}, [4]),
    ],
)
async def test_items_are_filtered_with_nested_groups(
    stand: Stand, asked: dict[str, Any], ids: list[int]
) -> None:
    await _deals(stand)
    answer = await stand.result("crm.item.list", {"entityTypeId": 2, "filter": asked})
    assert [item["id"] for item in answer["items"]] == ids


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"filter": {"noSuch": 1}}, "field 'noSuch' is not allowed in filter"),
        ({"filter": {"fm": 1}}, "field 'fm' is not allowed in filter"),
        ({"filter": {">opportunity": "much"}}, "field 'opportunity' has invalid value"),
        ({"filter": {">contactIds": 1}}, "field 'contactIds' has invalid value"),
        ({"order": {"noSuch": "ASC"}}, "field 'noSuch' is not allowed in order"),
        ({"order": {"id": "UP"}}, "got 'UP' for field 'id'"),
        ({"filter": {str(n): {str(n): {}} for n in range(3)} | {'x"; DROP': 1}}, "not allowed"),
    ],
)
async def test_items_refuse_what_cannot_be_filtered_or_ordered(
    stand: Stand, params: dict[str, Any], words: str
) -> None:
    status, code, description = await stand.refusal("crm.item.list", {"entityTypeId": 2, **params})
    assert (status, code) == (400, "INVALID_ARG_VALUE")
    assert words in description


async def test_a_filter_too_deep_or_too_long_is_refused(stand: Stand) -> None:
    deep: dict[str, Any] = {"id": 1}
    for _ in range(25):
        deep = {"0": deep}
    params = {"entityTypeId": 2, "filter": deep}
    assert "nested deeper" in (await stand.refusal("crm.item.list", params))[2]
    long = {"filter": {"@ID": list(range(2001))}}
    assert "2000" in (await stand.refusal("crm.deal.list", long))[2]
    assert "must be array" in (await stand.refusal("crm.deal.list", {"filter": "ID=1"}))[2]


async def test_order_and_select(stand: Stand) -> None:
    await _deals(stand)
    rows = await stand.result(
        "crm.deal.list",
        {"order": {"STAGE_ID": "ASC", "OPPORTUNITY": "DESC"}, "select": ["TITLE", "NO_SUCH"]},
    )
    assert [row["ID"] for row in rows] == ["3", "4", "1", "2"]
    assert {tuple(row) for row in rows} == {("ID", "TITLE")}
    rows = await stand.result("crm.deal.list", {"select": ["UF_*"], "filter": {"ID": 4}})
    assert rows == [{"ID": "4", "UF_CRM_7": "Метка"}]
    answer = await stand.result(
        "crm.item.list", {"entityTypeId": 2, "select": ["title"], "order": {"id": "desc"}}
    )
    assert answer["items"][0] == {"id": 4, "title": "Другое"}


async def test_phones_come_into_a_list_only_when_selected(stand: Stand) -> None:
    await stand.add("contact", PHONE=[{"VALUE": "+7 1"}], EMAIL=[{"VALUE": "a@example.ru"}])
    assert "PHONE" not in (await stand.result("crm.contact.list"))[0]
    rows = await stand.result("crm.contact.list", {"select": ["*", "PHONE"]})
    assert rows[0]["PHONE"][0]["VALUE"] == "+7 1"
    assert "EMAIL" not in rows[0]


async def test_pages_are_of_fifty_and_start_is_taken_down_to_one(stand: Stand) -> None:
    with stand.portal.storage.transaction():
        for _ in range(120):
            stand.portal.storage.insert("lead", {"TITLE": "Л"})
    first = await stand.call("crm.lead.list", {"select": ["ID"]})
    assert (len(first["result"]), first["next"], first["total"]) == (50, 50, 120)
    second = await stand.call("crm.lead.list", {"select": ["ID"], "start": 99})
    assert [row["ID"] for row in second["result"]] == [str(id) for id in range(51, 101)]
    assert second["next"] == 100
    last = await stand.call("crm.lead.list", {"select": ["ID"], "start": "100"})
    assert (len(last["result"]), last["total"]) == (20, 120)
    assert "next" not in last
    exact = await stand.call("crm.lead.list", {"filter": {"<=ID": 50}})
    assert (len(exact["result"]), exact["total"]) == (50, 50)
    assert "next" not in exact


async def test_without_the_count_a_set_is_walked_by_id(stand: Stand) -> None:
    with stand.portal.storage.transaction():
        for _ in range(120):
            stand.portal.storage.insert("lead", {"TITLE": "Л"})
    seen: list[int] = []
    while True:
        params = {"start": -1, "filter": {">ID": seen[-1] if seen else 0}, "order": {"ID": "ASC"}}
        page = await stand.call("crm.lead.list", params)
        assert not {"total", "next"} & set(page)
        if not page["result"]:
            break
        seen.extend(int(row["ID"]) for row in page["result"])
    assert seen == list(range(1, 121))
