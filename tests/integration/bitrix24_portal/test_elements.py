"""Leads, deals, contacts and companies through both faces: they are the same elements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.bitrix24_portal.stand import Stand


async def test_ids_are_integers_when_added_and_texts_when_read(stand: Stand) -> None:
    assert await stand.result("crm.lead.add", {"fields": {"TITLE": "Заявка"}}) == 1
    row = await stand.result("crm.lead.get", {"id": 1})
    assert (row["ID"], row["ASSIGNED_BY_ID"], row["OPPORTUNITY"]) == ("1", "1", "0.00")
    assert await stand.result("crm.lead.update", {"id": 1, "fields": {}}) is True
    assert await stand.result("crm.lead.delete", {"id": 1}) is True


async def test_an_element_without_a_title_is_named_by_its_number(stand: Stand) -> None:
    await stand.add("lead")
    await stand.add("deal")
    await stand.add("contact")
    assert (await stand.result("crm.lead.get", {"id": 1}))["TITLE"] == "Лид #1"
    assert (await stand.result("crm.deal.get", {"id": 1}))["TITLE"] == "Сделка #1"
    assert (await stand.result("crm.contact.get", {"id": 1}))["LAST_NAME"] == "Контакт #1"


async def test_unknown_and_read_only_fields_are_overlooked(stand: Stand) -> None:
    id = await stand.add("lead", TITLE="Т", NO_SUCH_FIELD="x", ID=99, DATE_CREATE="2001-01-01")
    row = await stand.result("crm.lead.get", {"id": id})
    assert id == 1
    assert "NO_SUCH_FIELD" not in row
    assert row["DATE_CREATE"] == "2026-09-21T17:13:20+03:00"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ASSIGNED_BY_ID": "somebody"}, "ASSIGNED_BY_ID"),
        ({"OPPORTUNITY": "much"}, "OPPORTUNITY"),
        ({"OPPORTUNITY": "nan"}, "OPPORTUNITY"),
        ({"BIRTHDATE": "yesterday"}, "BIRTHDATE"),
        ({"BIRTHDATE": "2026-02-30"}, "BIRTHDATE"),
        ({"TITLE": {"a": 1}}, "TITLE"),
        ({"PHONE": "+79123456789"}, "PHONE"),
        ({"ASSIGNED_BY_ID": "9" * 30}, "ASSIGNED_BY_ID"),
    ],
)
async def test_a_value_of_a_wrong_type_is_refused_and_leaves_nothing(
    stand: Stand, fields: dict[str, Any], named: str
) -> None:
    status, code, description = await stand.refusal("crm.lead.add", {"fields": fields})
    assert (status, code) == (400, "")
    assert named in description
    assert (await stand.call("crm.lead.list"))["total"] == 0


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("OPPORTUNITY", "1000.5", "1000.50"),
        ("ASSIGNED_BY_ID", "2", "2"),
        ("OPENED", True, "Y"),
        ("OPENED", "no", "N"),
        ("TITLE", 17, "17"),
        ("BIRTHDATE", "01.02.2000", "2000-02-01T03:00:00+03:00"),
        ("BIRTHDATE", "2000-02-01T23:30:00+09:00", "2000-02-01T03:00:00+03:00"),
        ("COMMENTS", "", None),
    ],
)
async def test_values_are_coerced_as_callers_expect(
    stand: Stand, name: str, given: object, read: object
) -> None:
    id = await stand.add("lead", **{name: given})
    assert (await stand.result("crm.lead.get", {"id": id}))[name] == read


async def test_a_company_needs_a_title(stand: Stand) -> None:
    status, code, description = await stand.refusal("crm.company.add", {"fields": {"TITLE": ""}})
    assert (status, code) == (400, "")
    assert "TITLE" in description
    await stand.add("company", TITLE="ООО")
    assert (await stand.refusal("crm.company.update", {"id": 1, "fields": {"TITLE": ""}}))[0] == 400
    assert await stand.result("crm.company.update", {"id": 1, "fields": {"COMMENTS": "x"}}) is True


async def test_phones_have_ids_and_are_changed_by_them(stand: Stand) -> None:
    id = await stand.add(
        "contact", PHONE=[{"VALUE": "+7 1"}, {"VALUE": "+7 2", "VALUE_TYPE": "MOBILE"}]
    )
    first, second = (await stand.result("crm.contact.get", {"id": id}))["PHONE"]
    assert first == {"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "+7 1", "TYPE_ID": "PHONE"}
    await stand.call(
        "crm.contact.update",
        {
            "id": id,
            "fields": {
                "PHONE": [
                    {"ID": first["ID"], "VALUE": "+7 3"},
                    {"ID": second["ID"], "DELETE": "Y"},
                    {"VALUE": "+7 4"},
                ]
            },
        },
    )
    row = await stand.result("crm.contact.get", {"id": id})
    assert [(one["ID"], one["VALUE"]) for one in row["PHONE"]] == [("1", "+7 3"), ("3", "+7 4")]
    assert (row["HAS_PHONE"], row["HAS_EMAIL"]) == ("Y", "N")


async def test_a_phone_of_another_element_is_not_changed(stand: Stand) -> None:
    mine = await stand.add("contact", PHONE=[{"VALUE": "+7 1"}])
    other = await stand.add("contact", PHONE=[{"VALUE": "+7 2"}])
    await stand.call(
        "crm.contact.update", {"id": other, "fields": {"PHONE": [{"ID": 1, "VALUE": "+7 9"}]}}
    )
    row = await stand.result("crm.contact.get", {"id": mine})
    assert [one["VALUE"] for one in row["PHONE"]] == ["+7 1"]


async def test_a_new_element_stands_at_the_first_stage_and_an_end_stage_closes_it(
    stand: Stand,
) -> None:
    id = await stand.add("deal", STAGE_ID="NO_SUCH_STAGE")
    row = await stand.result("crm.deal.get", {"id": id})
    assert (row["STAGE_ID"], row["STAGE_SEMANTIC_ID"], row["CLOSED"]) == ("NEW", "P", "N")
    stand.clock.moment += 60
    await stand.call("crm.deal.update", {"id": id, "fields": {"STAGE_ID": "LOSE"}})
    row = await stand.result("crm.deal.get", {"id": id})
    assert (row["STAGE_ID"], row["STAGE_SEMANTIC_ID"], row["CLOSED"]) == ("LOSE", "F", "Y")
    assert row["MOVED_TIME"] == row["DATE_MODIFY"] == "2026-09-21T17:14:20+03:00"
    lead = await stand.add("lead", STATUS_ID="CONVERTED")
    assert (await stand.result("crm.lead.get", {"id": lead}))["DATE_CLOSED"] != ""


async def test_a_deal_of_a_category_has_the_stages_of_that_category(stand: Stand) -> None:
    made = await stand.result("crm.category.add", {"entityTypeId": 2, "fields": {"name": "Опт"}})
    category = made["category"]["id"]
    id = await stand.add("deal", CATEGORY_ID=category)
    row = await stand.result("crm.deal.get", {"id": id})
    assert (row["CATEGORY_ID"], row["STAGE_ID"]) == (str(category), f"C{category}:NEW")
    await stand.call("crm.deal.update", {"id": id, "fields": {"CATEGORY_ID": 0}})
    assert (await stand.result("crm.deal.get", {"id": id}))["CATEGORY_ID"] == str(category)


async def test_both_faces_show_the_same_element(stand: Stand) -> None:
    made = await stand.result(
        "crm.item.add",
        {
            "entityTypeId": 3,
            "fields": {
                "name": "Иван",
                "companyIds": [3, 4],
                "opened": "N",
                "birthdate": "2000-02-01",
                "fm": [{"typeId": "PHONE", "valueType": "MOBILE", "value": "+7 912"}],
                "ufCrm_17": "свой",
            },
        },
    )
    item = made["item"]
    assert (item["id"], item["companyId"], item["companyIds"]) == (1, 3, [3, 4])
    assert (item["phoneMobile"], item["phoneWork"], item["entityTypeId"]) == ("+7 912", "", 3)
    row = await stand.result("crm.contact.get", {"id": 1})
    assert (row["NAME"], row["COMPANY_ID"], row["OPENED"]) == ("Иван", "3", "N")
    assert row["BIRTHDATE"] == item["birthdate"] == "2000-02-01T03:00:00+03:00"
    assert row["UF_CRM_17"] == item["ufCrm_17"] == "свой"


async def test_an_item_overlooks_what_only_the_portal_writes(stand: Stand) -> None:
    fields = {"createdTime": "2001-01-01", "stageSemanticId": "S", "noSuch": 1, "contacts": [1]}
    await stand.call("crm.item.add", {"entityTypeId": 2, "fields": fields})
    update = {"entityTypeId": 2, "id": 1, "fields": {**fields, "categoryId": 7}}
    item = (await stand.result("crm.item.update", update))["item"]
    assert (item["stageSemanticId"], item["categoryId"]) == ("P", 0)
    assert item["createdTime"] == "2026-09-21T17:13:20+03:00"
    assert "noSuch" not in item


async def test_fm_adds_and_never_replaces(stand: Stand) -> None:
    await stand.add("lead", PHONE=[{"VALUE": "+7 1"}])
    reply = await stand.result(
        "crm.item.update",
        {"entityTypeId": 1, "id": 1, "fields": {"fm": [{"typeId": "PHONE", "value": "+7 2"}]}},
    )
    assert [one["value"] for one in reply["item"]["fm"]] == ["+7 1", "+7 2"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"stageId": "NO_SUCH_STAGE"}, "CRM_FIELD_ERROR_VALUE_NOT_VALID"),
        ({"opportunity": "much"}, "CRM_FIELD_ERROR_VALUE_NOT_VALID"),
        ({"contactIds": ["a"]}, "CRM_FIELD_ERROR_VALUE_NOT_VALID"),
        ({"id": 5}, "100"),
    ],
)
async def test_an_item_refuses_what_does_not_fit(
    stand: Stand, fields: dict[str, Any], code: str
) -> None:
    await stand.add("deal")
    params = {"entityTypeId": 2, "id": 1, "fields": fields}
    status, told, _ = await stand.refusal("crm.item.update", params)
    assert (status, told) == (400, code)


async def test_user_field_names_can_be_kept_as_they_are(stand: Stand) -> None:
    names = ["UF_CRM_17", "UF_CRM_2_163", "UF_CRM_SOME_NAME", "PARENT_ID_177"]
    await stand.add("deal", **dict.fromkeys(names, "x"))
    item = (await stand.result("crm.item.get", {"entityTypeId": 2, "id": 1}))["item"]
    for name in ("ufCrm_17", "ufCrm2_163", "ufCrmSomeName", "parentId177"):
        assert item[name] == "x"
    params = {"entityTypeId": 2, "id": 1, "useOriginalUfNames": "Y"}
    item = (await stand.result("crm.item.get", params))["item"]
    assert {name: item[name] for name in names} == dict.fromkeys(names, "x")
    written = {"ufCrmSomeName": "y", "parentId177": 9, "ufCrm2_163": "z"}
    await stand.call("crm.item.update", {"entityTypeId": 2, "id": 1, "fields": written})
    row = await stand.result("crm.deal.get", {"id": 1})
    assert (row["UF_CRM_SOME_NAME"], row["PARENT_ID_177"], row["UF_CRM_2_163"]) == ("y", 9, "z")


async def test_deleting_takes_phones_comments_and_the_duplicate_with_it(stand: Stand) -> None:
    await stand.add("lead", PHONE=[{"VALUE": "+79123456789"}])
    comment = {"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": "Текст"}
    await stand.call("crm.timeline.comment.add", {"fields": comment})
    await stand.call("crm.item.delete", {"entityTypeId": 1, "id": 1})
    asked = {"type": "PHONE", "values": ["+79123456789"]}
    assert await stand.result("crm.duplicate.findbycomm", asked) == []
    assert (await stand.refusal("crm.timeline.comment.get", {"id": 1}))[2] == "Not found"


async def test_an_import_in_bulk_tells_of_each_item(stand: Stand) -> None:
    data: list[Any] = [{"title": "А"}, {"opportunity": "much"}, "no object"]
    answer = await stand.result("crm.item.batchImport", {"entityTypeId": 2, "data": data})
    assert answer["items"][0] == {"item": {"id": 1}}
    assert answer["items"][1]["error"] == "CRM_FIELD_ERROR_VALUE_NOT_VALID"
    assert answer["items"][2]["error"] == "INVALID_ARG_VALUE"
    many = {"entityTypeId": 2, "data": [{}] * 21}
    assert (await stand.refusal("crm.item.batchImport", many))[0] == 400
