"""Modules for leads, deals, contacts and companies: what they ask of the portal and give to a run.

That the portal takes these calls is shown in tests/integration/test_bitrix24_modules.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules.bitrix24 import (
    add_company,
    add_contact,
    add_deal,
    add_lead,
    find,
    find_deal,
    find_lead,
    get,
    update,
)
from beltline.modules.bitrix24 import list as listing
from beltline.sdk import Module, Reject, Retry
from tests.unit.modules.bitrix24_steps import step
from tests.unit.modules.fakes import KEY, answered, portal

# Finding


@pytest.mark.parametrize("module", [find.contact, find.company])
async def test_the_oldest_with_the_phone_is_given_with_its_fields(
    module: Module[Any, Any],
) -> None:
    name = module.name.rpartition("-")[2]
    found, calls = await step(
        module,
        {"phone": 79161234567},
        portal({name.upper(): [2297, 275]}),
        portal({"ID": "275", "NAME": "Anna"}),
    )
    assert found == {"ID": "275", "NAME": "Anna"}
    asked = {"type": "PHONE", "values": ["79161234567"], "entity_type": name.upper()}
    assert calls == [("crm.duplicate.findbycomm", asked), (f"crm.{name}.get", {"id": 275})]


async def test_the_mail_is_asked_for_where_no_contact_has_the_phone() -> None:
    both = {"phone": "79161234567", "email": "anna@site.example"}
    found, calls = await step(
        find.contact, both, portal([]), portal({"CONTACT": [7]}), portal({"ID": "7"})
    )
    assert found == {"ID": "7"}
    assert [params.get("type") for _, params in calls] == ["PHONE", "EMAIL", None]


@pytest.mark.parametrize("nothing", [[], {}, {"LEAD": [1]}, {"CONTACT": []}])
async def test_no_contact_has_an_empty_id(nothing: Any) -> None:
    found, _ = await step(find.contact, {"email": "a@b.example"}, portal(nothing))
    assert found == {"ID": ""}


@pytest.mark.parametrize("module", [find.contact, find.company, find_lead.module])
@pytest.mark.parametrize("config", [{}, {"phone": ""}, {"phone": " ", "email": ""}])
async def test_nobody_is_looked_for_by_nothing(
    module: Module[Any, Any], config: dict[str, Any]
) -> None:
    outcome, calls = await step(module, config)
    assert isinstance(outcome, Reject)
    assert calls == []


async def test_the_newest_lead_in_work_is_found_and_closed_ones_are_passed_over() -> None:
    found, calls = await step(
        find_lead.module,
        {"phone": "79161234567", "email": "anna@site.example"},
        portal({"LEAD": [5, 9]}),
        portal({"items": [{"id": 9, "stageSemanticId": "F"}, {"id": 5, "stageSemanticId": "S"}]}),
        portal({"LEAD": [11, 12]}),
        portal({"items": [{"id": 12, "stageSemanticId": "P"}, {"id": 11}]}),
        portal({"ID": "12"}),
    )
    assert found == {"ID": "12"}
    listed = dict(calls[3][1])
    assert (listed["filter"], listed["order"]) == (
        {"@id": [11, 12]},
        {"id": "DESC"},
    )
    assert calls[-1] == ("crm.lead.get", {"id": 12})


async def test_the_newest_open_deal_of_the_contact() -> None:
    config = {"contact": "84", "filter": {"CATEGORY_ID": 0, "CLOSED": "Y"}}
    found, calls = await step(
        find_deal.module, config, portal([{"ID": "41"}, {"ID": "40"}], total=2)
    )
    assert found == {"value": "41"}
    assert calls[0][1] == {
        "filter": {"CATEGORY_ID": 0, "CLOSED": "N", "CONTACT_ID": 84},
        "order": {"ID": "DESC"},
        "select": ["ID"],
    }


async def test_no_deal_is_an_empty_value() -> None:
    found, _ = await step(find_deal.module, {"contact": 84}, portal([], total=0))
    assert found == {"value": ""}


@pytest.mark.parametrize("contact", [None, "", "  "])
async def test_no_contact_has_no_deal_and_asks_nobody(contact: str | None) -> None:
    assert await step(find_deal.module, {"contact": contact}) == ({"value": ""}, [])


# Getting and listing


@pytest.mark.parametrize("module", get.modules)
async def test_an_entry_by_its_id(module: Module[Any, Any]) -> None:
    entry, calls = await step(module, {"id": "410"}, portal({"ID": "410", "UF_CRM_1": "x"}))
    assert entry == {"ID": "410", "UF_CRM_1": "x"}
    assert calls == [(f"crm.{module.name.rpartition('-')[2]}.get", {"id": 410})]


@pytest.mark.parametrize("id", ["", "0", "-1", "1.5", "x", "²", "1 OR 1", 0, -5])
async def test_what_is_no_id_is_not_sent(id: str | int) -> None:
    modules: list[Module[Any, Any]] = [*get.modules, *update.modules]
    for module in modules:
        fields = {} if module in get.modules else {"fields": {"TITLE": "x"}}
        outcome, calls = await step(module, {"id": id, **fields})
        assert isinstance(outcome, Reject)
        assert "`id`" in outcome.reason
        assert calls == []


def page(first: int, count: int, **more: Any) -> Any:
    return portal([{"ID": str(first + place)} for place in range(count)], **more)


async def test_a_list_is_read_page_by_page_up_to_its_bound() -> None:
    listed, calls = await step(
        listing.deals,
        {"filter": {"=STAGE_ID": "NEW"}, "select": ["ID", "UF_*"], "pages": 2, "start": 50},
        page(51, 50, total=170, next=100),
        page(101, 50, total=170, next=150),
    )
    assert len(listed["items"]) == 100
    assert (listed["total"], listed["next"]) == (170, 150)
    asked = {"filter": {"=STAGE_ID": "NEW"}, "select": ["ID", "UF_*"], "order": {"ID": "ASC"}}
    assert calls == [
        ("crm.deal.list", {**asked, "start": 50}),
        ("crm.deal.list", {**asked, "start": 100}),
    ]


async def test_a_list_ends_with_its_last_page_and_tells_no_entry_twice() -> None:
    listed, calls = await step(
        listing.leads,
        {"pages": 10},
        page(1, 50, total=52, next=50),
        page(50, 3, total=52),  # an entry before it was removed meanwhile: 50 comes again
    )
    assert [entry["ID"] for entry in listed["items"]] == [str(id) for id in range(1, 53)]
    assert (listed["next"], len(calls)) == (None, 2)
    assert "order" not in calls[0][1], "the portal's list of leads takes none"


async def test_a_page_begins_at_a_fifty() -> None:
    outcome, calls = await step(listing.contacts, {"start": 30})
    assert isinstance(outcome, Reject)
    assert "`start` is 30" in outcome.reason
    assert calls == []


async def test_a_page_that_fails_for_now_is_tried_again_with_all_of_them() -> None:
    outcome, _ = await step(
        listing.companies, {"pages": 3}, page(1, 50, next=50), answered(503, {})
    )
    assert isinstance(outcome, Retry)


# Adding


async def test_a_lead_carries_the_key_of_its_visit() -> None:
    config = {
        "title": "Call",
        "name": "Anna",
        "phone": 79161234567,
        "contact": "84",
        "fields": {"SOURCE_ID": "WEB", "TITLE": "Own", "EMAIL": ["a@b.example", {"VALUE": "c@d"}]},
    }
    added, calls = await step(add_lead.module, config, portal(77))
    assert added == {"ID": "77", "repeated": False}
    fields = {
        "TITLE": "Own",
        "NAME": "Anna",
        "CONTACT_ID": 84,
        "PHONE": [{"VALUE": "79161234567", "VALUE_TYPE": "WORK"}],
        "SOURCE_ID": "WEB",
        "EMAIL": [{"VALUE": "a@b.example", "VALUE_TYPE": "WORK"}, {"VALUE": "c@d"}],
        "ORIGINATOR_ID": "beltline",
        "ORIGIN_ID": KEY,
    }
    assert calls == [("crm.lead.add", {"fields": fields})]


async def test_a_deal_carries_the_key_of_its_visit() -> None:
    config = {"title": "Order", "contact": "84", "company": "", "fields": {"OPPORTUNITY": 1500}}
    added, calls = await step(add_deal.module, config, portal(410))
    assert added == {"ID": "410", "repeated": False}
    fields = {
        "TITLE": "Order",
        "CONTACT_ID": 84,
        "OPPORTUNITY": 1500,
        "ORIGINATOR_ID": "beltline",
        "ORIGIN_ID": KEY,
    }
    assert calls == [("crm.deal.add", {"fields": fields})]


@pytest.mark.parametrize(("module", "name"), [(add_lead.module, "lead"), (add_deal.module, "deal")])
async def test_a_repeated_attempt_finds_what_the_first_added(
    module: Module[Any, Any], name: str
) -> None:
    added, calls = await step(module, {"title": "Call"}, portal([{"ID": "77"}]), attempt=2)
    assert added == {"ID": "77", "repeated": True}
    origin = {"=ORIGINATOR_ID": "beltline", "=ORIGIN_ID": KEY}
    assert calls == [(f"crm.{name}.list", {"filter": origin, "select": ["ID"]})]
    added, calls = await step(module, {"title": "Call"}, portal([]), portal(78), attempt=2)
    assert added == {"ID": "78", "repeated": False}
    assert calls[1][0] == f"crm.{name}.add"


async def test_an_origin_of_the_authors_own_is_kept() -> None:
    config = {"fields": {"ORIGIN_ID": "site-7"}}
    _, calls = await step(add_lead.module, config, portal([]), portal(78), attempt=2)
    assert calls[0][1]["filter"] == {"=ORIGIN_ID": "site-7"}
    assert calls[1][1] == {"fields": {"ORIGIN_ID": "site-7"}}


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (add_lead.module, {"phone": "", "contact": ""}),
        (add_deal.module, {}),
        (add_contact.module, {"name": ""}),
    ],
)
async def test_an_entry_without_fields_is_refused(
    module: Module[Any, Any], params: dict[str, Any]
) -> None:
    outcome, calls = await step(module, params)
    assert isinstance(outcome, Reject)
    assert calls == []


async def test_a_contact_goes_by_the_newer_methods() -> None:
    config = {
        "name": "Anna",
        "phone": "79161234567",
        "fields": {
            "ASSIGNED_BY_ID": 1,
            "UF_CRM_1720697698689": "x",
            "PARENT_ID_1224": 12,
            "EMAIL": [{"VALUE": "a@b.example", "VALUE_TYPE": "HOME"}, "c@d.example"],
        },
    }
    added, calls = await step(add_contact.module, config, portal({"item": {"id": 43}}))
    assert added == {"ID": "43", "repeated": False}
    fields = {
        "name": "Anna",
        "assignedById": 1,
        "UF_CRM_1720697698689": "x",
        "parentId1224": 12,
        "originatorId": "beltline",
        "originId": KEY,
        "fm": [
            {"typeId": "PHONE", "valueType": "WORK", "value": "79161234567"},
            {"typeId": "EMAIL", "valueType": "HOME", "value": "a@b.example"},
            {"typeId": "EMAIL", "valueType": "WORK", "value": "c@d.example"},
        ],
    }
    asked = {"entityTypeId": 3, "useOriginalUfNames": "Y", "fields": fields}
    assert calls == [("crm.item.add", asked)]


async def test_a_company_goes_by_the_newer_methods_and_their_names() -> None:
    config = {"title": "Veter Ltd", "email": "a@b.example", "fields": {"COMPANY_TYPE": "CUSTOMER"}}
    added, calls = await step(add_company.module, config, portal({"item": {"id": 12}}))
    assert added == {"ID": "12", "repeated": False}
    assert calls[0][1]["entityTypeId"] == 4
    assert calls[0][1]["fields"] == {
        "title": "Veter Ltd",
        "typeId": "CUSTOMER",
        "originatorId": "beltline",
        "originId": KEY,
        "fm": [{"typeId": "EMAIL", "valueType": "WORK", "value": "a@b.example"}],
    }


BY_ITEM = [(add_contact.module, {"name": "Anna"}), (add_company.module, {"title": "Veter"})]


@pytest.mark.parametrize(("module", "params"), BY_ITEM)
@pytest.mark.parametrize("name", ["ADDRESS", "ADDRESS_CITY", "REG_ADDRESS_2"])
async def test_a_field_that_the_portal_would_leave_out_unseen_is_refused(
    module: Module[Any, Any], params: dict[str, Any], name: str
) -> None:
    outcome, calls = await step(module, {**params, "fields": {name: "Moscow"}})
    assert isinstance(outcome, Reject)
    assert f"`{name}`" in outcome.reason
    assert calls == []


@pytest.mark.parametrize(("module", "params"), BY_ITEM)
async def test_a_repeated_attempt_finds_the_item_of_the_first(
    module: Module[Any, Any], params: dict[str, Any]
) -> None:
    added, calls = await step(module, params, portal({"items": [{"id": 43}]}), attempt=3)
    assert added == {"ID": "43", "repeated": True}
    assert calls[0][1]["filter"] == {"=originatorId": "beltline", "=originId": KEY}


# Changing


@pytest.mark.parametrize("module", update.modules)
async def test_fields_are_changed(module: Module[Any, Any]) -> None:
    config = {"id": "410", "fields": {"COMMENTS": "x", "UF_CRM_1": ["a", "b"]}}
    changed, calls = await step(module, config, portal(True))
    assert changed == {"ID": "410"}
    name = module.name.rpartition("-")[2]
    assert calls == [(f"crm.{name}.update", {"id": 410, "fields": config["fields"]})]


@pytest.mark.parametrize("module", update.modules)
async def test_nothing_to_change_is_refused(module: Module[Any, Any]) -> None:
    outcome, calls = await step(module, {"id": "410", "fields": {}})
    assert isinstance(outcome, Reject)
    assert calls == []


async def test_a_phone_that_is_there_is_not_added_again() -> None:
    there = portal({"PHONE": [{"ID": "7", "VALUE": "8 (916) 123-45-67", "VALUE_TYPE": "HOME"}]})
    config = {"id": 84, "fields": {"PHONE": ["79161234567", "79990000000"], "POST": "Director"}}
    _, calls = await step(update.contact, config, there, portal(True))
    assert calls[1] == (
        "crm.contact.update",
        {
            "id": 84,
            "fields": {
                "PHONE": [{"VALUE": "79990000000", "VALUE_TYPE": "WORK"}],
                "POST": "Director",
            },
        },
    )


async def test_a_value_with_its_id_is_changed_or_removed() -> None:
    there = portal({"EMAIL": [{"ID": "7", "VALUE": "a@b.example"}]})
    edits = [{"ID": "7", "VALUE": "A@b.example"}, {"ID": 8, "DELETE": "Y"}]
    _, calls = await step(update.lead, {"id": 77, "fields": {"EMAIL": edits}}, there, portal(True))
    assert calls[1][1]["fields"] == {"EMAIL": edits}


async def test_what_is_there_already_needs_no_change() -> None:
    there = portal({"EMAIL": [{"ID": "7", "VALUE": "Anna@Site.example"}]})
    config = {"id": 12, "fields": {"EMAIL": "anna@site.example"}}
    changed, calls = await step(update.company, config, there)
    assert changed == {"ID": "12"}
    assert [method for method, _ in calls] == ["crm.company.get"]
