"""Modules for items of any type, activities, tasks, notifications, duplicates and batches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.modules.bitrix24 import (
    add_activity,
    add_comment,
    add_item,
    add_task,
    batch,
    find_duplicates,
    find_item,
    get_item,
    list_items,
    notify,
    update_item,
)
from beltline.sdk import Module, Reject, Retry
from tests.unit.modules.bitrix24_steps import step
from tests.unit.modules.fakes import KEY, portal

ABOUT = {"entityTypeId": 1042, "useOriginalUfNames": "Y"}

# Items


async def test_an_item_by_its_id() -> None:
    item, calls = await step(
        get_item.module, {"type": 1042, "id": "7"}, portal({"item": {"id": 7, "UF_CRM_5_1": "x"}})
    )
    assert item == {"id": 7, "UF_CRM_5_1": "x"}
    assert calls == [("crm.item.get", {**ABOUT, "id": 7})]


async def test_items_are_listed_in_the_order_of_their_ids_unless_told_otherwise() -> None:
    answer = portal({"items": [{"id": 9}, {"id": 8}]}, total=2)
    listed, calls = await step(
        list_items.module, {"type": 1042, "order": {"id": "DESC"}, "select": ["id"]}, answer
    )
    assert listed == {"items": [{"id": 9}, {"id": 8}], "total": 2, "next": None}
    assert calls[0][1] == {
        **ABOUT,
        "filter": {},
        "order": {"id": "DESC"},
        "select": ["id"],
        "start": 0,
    }
    _, calls = await step(list_items.module, {"type": 1042}, portal({"items": []}, total=0))
    assert calls[0][1]["order"] == {"id": "ASC"}


async def test_the_first_item_that_fits() -> None:
    params = {"type": 1042, "filter": {"=title": "Order"}}
    found, _ = await step(find_item.module, params, portal({"items": [{"id": 3}, {"id": 4}]}))
    assert found == {"id": 3}
    nothing, _ = await step(find_item.module, params, portal({"items": []}))
    assert nothing == {"id": ""}
    outcome, calls = await step(find_item.module, {"type": 1042, "filter": {}})
    assert isinstance(outcome, Reject)
    assert calls == []


@pytest.mark.parametrize(
    ("params", "carried"),
    [
        ({"type": 2}, {"originatorId": "beltline", "originId": KEY}),
        ({"type": 1042}, {"xmlId": KEY}),
        ({"type": 1042, "key_field": "UF_CRM_5_1"}, {"UF_CRM_5_1": KEY}),
    ],
)
async def test_an_item_carries_the_key_of_its_visit(
    params: dict[str, Any], carried: dict[str, Any]
) -> None:
    config = {**params, "fields": {"title": "Order"}}
    added, calls = await step(add_item.module, config, portal({"item": {"id": 7}}))
    assert added == {"id": 7, "item": {"id": 7}, "repeated": False}
    assert calls[0][1]["fields"] == {"title": "Order", **carried}
    added, calls = await step(add_item.module, config, portal({"items": [{"id": 7}]}), attempt=2)
    assert (added["id"], added["repeated"]) == (7, True)
    assert calls[0][1]["filter"] == {f"={name}": value for name, value in carried.items()}


async def test_a_key_of_the_authors_own_is_kept() -> None:
    config = {"type": 1042, "fields": {"title": "Order", "xmlId": "site-7"}}
    _, calls = await step(
        add_item.module, config, portal({"items": []}), portal({"item": {"id": 7}}), attempt=2
    )
    assert calls[0][1]["filter"] == {"=xmlId": "site-7"}
    assert calls[1][1]["fields"] == config["fields"]


async def test_an_item_is_changed_but_for_what_the_portal_would_add_again() -> None:
    params = {"type": 1042, "id": 7, "fields": {"stageId": "DT1042_5:WON"}}
    changed, calls = await step(update_item.module, params, portal({"item": {"id": 7}}))
    assert changed == {"id": 7, "item": {"id": 7}}
    assert calls == [("crm.item.update", {**ABOUT, "id": 7, "fields": params["fields"]})]
    for fields in ({}, {"fm": [{"typeId": "PHONE", "value": "7916"}]}):
        outcome, calls = await step(update_item.module, {**params, "fields": fields})
        assert isinstance(outcome, Reject)
        assert calls == []


# Comments, activities, tasks, notifications


async def test_a_comment_is_added() -> None:
    added, calls = await step(add_comment.module, {"id": 410, "comment": "Called."}, portal(999))
    assert added == {"ID": "999"}
    fields = {"ENTITY_ID": 410, "ENTITY_TYPE": "deal", "COMMENT": "Called."}
    assert calls == [("crm.timeline.comment.add", {"fields": fields})]


async def test_an_activity_belongs_to_its_entry() -> None:
    params = {
        "id": "12",
        "entity": "company",
        "title": "Call",
        "deadline": "2026-12-01T15:00:00",
        "responsible": "",
        "remind_minutes": [15],
    }
    added, calls = await step(add_activity.module, params, portal({"id": 999}))
    assert added == {"ID": "999"}
    assert calls[0][1] == {
        "ownerTypeId": 4,
        "ownerId": 12,
        "deadline": "2026-12-01T15:00:00",
        "title": "Call",
        "description": "",
        "pingOffsets": [15],
    }


async def test_a_task_carries_the_key_of_its_visit_and_what_it_is_about() -> None:
    params = {
        "title": "Call",
        "responsible": "1",
        "deal": "410",
        "contact": 84,
        "lead": "",
        "fields": {"GROUP_ID": 7},
    }
    added, calls = await step(add_task.module, params, portal({"task": {"id": "37"}}))
    assert added == {"ID": "37", "repeated": False}
    fields = {
        "XML_ID": KEY,
        "TITLE": "Call",
        "RESPONSIBLE_ID": 1,
        "UF_CRM_TASK": ["D_410", "C_84"],
        "GROUP_ID": 7,
    }
    assert calls == [("tasks.task.add", {"fields": fields})]
    earlier = portal({"tasks": [{"id": "37"}]})
    added, calls = await step(add_task.module, params, earlier, attempt=2)
    assert added == {"ID": "37", "repeated": True}
    assert calls[0][1]["filter"] == {"XML_ID": KEY}


async def test_a_repeated_notification_gives_way_to_itself() -> None:
    params = {"user": "1", "message": "A new lead."}
    for attempt in (1, 2):
        sent, calls = await step(notify.module, params, portal(5), attempt=attempt)
        assert sent == {"ID": "5"}
        assert calls[0][0] == "im.notify.system.add"
        assert (calls[0][1]["TAG"], calls[0][1]["CLIENT_ID"]) == (KEY, "beltline")
    refused, _ = await step(notify.module, {**params, "from_system": False}, portal(False))
    assert isinstance(refused, Reject)


# Duplicates


async def test_everybody_is_looked_for_twenty_at_a_time_and_kind_by_kind() -> None:
    phones = [f"7916000{place:04}" for place in range(21)]
    found, calls = await step(
        find_duplicates.module,
        {"phones": [*phones, phones[0], " "], "emails": ["a@b.example"], "kinds": ["contact"]},
        portal({"CONTACT": [9, 2]}),
        portal({"CONTACT": [2, 5]}),
        portal([]),
    )
    assert found == {"leads": [], "contacts": ["2", "5", "9"], "companies": [], "found": True}
    assert [len(params["values"]) for _, params in calls] == [20, 1, 1]
    assert {params["entity_type"] for _, params in calls} == {"CONTACT"}


async def test_nobody_is_a_duplicate() -> None:
    found, calls = await step(
        find_duplicates.module, {"emails": ["a@b.example"]}, portal([]), portal([]), portal([])
    )
    assert found["found"] is False
    assert [params["entity_type"] for _, params in calls] == ["LEAD", "CONTACT", "COMPANY"]
    outcome, _ = await step(find_duplicates.module, {"phones": ["", " "]})
    assert isinstance(outcome, Reject)


# Batches


def parts(results: Any, errors: Any = (), totals: Any = ()) -> Any:
    """The answer to a batch; PHP writes what is empty as a list."""
    return portal({"result": results, "result_error": errors, "result_total": totals})


async def test_commands_are_written_as_php_reads_them() -> None:
    commands = {
        "new": {
            "method": "crm.lead.add",
            "params": {
                "fields": {
                    "TITLE": "A&B=C [x] ñ",
                    "OPENED": True,
                    "COMMENTS": None,
                    "UF_CRM_1": [],
                    "PHONE": [{"VALUE": "+7 916"}, {"VALUE": 7}],
                }
            },
        },
        "back": {"method": "crm.lead.get", "params": {"id": "$result[new]"}},
    }
    given, calls = await step(
        batch.module, {"commands": commands}, parts({"new": 7, "back": {"ID": "7"}}, [], [])
    )
    assert given == {"results": {"new": 7, "back": {"ID": "7"}}, "errors": {}, "totals": {}}
    assert calls[0][1] == {
        "halt": 1,
        "cmd": {
            "new": "crm.lead.add?fields[TITLE]=A%26B%3DC%20%5Bx%5D%20%C3%B1"
            "&fields[OPENED]=1&fields[COMMENTS]=&fields[UF_CRM_1]="
            "&fields[PHONE][0][VALUE]=%2B7%20916&fields[PHONE][1][VALUE]=7",
            "back": "crm.lead.get?id=%24result%5Bnew%5D",
        },
    }
    assert list(calls[0][1]["cmd"]) == ["new", "back"]


@pytest.mark.parametrize(
    "params",
    [
        {"fields": {"COMMENTS": "see $result[secret]"}},
        {"fields": {"COMMENTS": "$result[a]$result[b]"}},
        {"fields": {"COMMENTS": "$result[a] "}},
        {"fields": {"A][B": "x"}},
        {"a[b]": {"c": 1}},
    ],
)
async def test_what_would_reach_other_commands_or_places_is_not_sent(
    params: dict[str, Any],
) -> None:
    commands = {"x": {"method": "crm.lead.add", "params": params}}
    outcome, calls = await step(batch.module, {"commands": commands})
    assert isinstance(outcome, Reject)
    assert "'x'" in outcome.reason
    assert calls == []


@pytest.mark.parametrize("method", ["batch", "Batch"])
async def test_a_batch_within_a_batch_is_refused(method: str) -> None:
    outcome, calls = await step(batch.module, {"commands": {"x": {"method": method}}})
    assert isinstance(outcome, Reject)
    assert calls == []


FAILED = {"error": "", "error_description": "Not found"}
BUSY = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked"}


@pytest.mark.parametrize(
    ("results", "errors", "outcome"),
    [
        ({"a": 1}, {"b": FAILED}, Reject),
        ([], {"a": BUSY}, Retry),
        ({"a": 1}, {"b": BUSY}, Reject),  # a has had its effect
        ([], {"a": BUSY, "b": FAILED}, Reject),
    ],
)
async def test_a_failed_command_ends_the_visit(
    results: Any, errors: Any, outcome: type[Retry | Reject]
) -> None:
    commands = {name: {"method": "crm.lead.get", "params": {"id": 1}} for name in "ab"}
    answered, _ = await step(batch.module, {"commands": commands}, parts(results, errors))
    assert isinstance(answered, outcome)
    told, _ = await step(
        batch.module, {"commands": commands, "tolerate": True}, parts(results, errors, {"a": 3})
    )
    assert set(told["errors"]) == set(errors)
    assert told["totals"] == {"a": 3}


@pytest.mark.parametrize("count", [0, 51])
async def test_a_batch_has_up_to_fifty_commands(count: int) -> None:
    commands = {f"c{place}": {"method": "scope"} for place in range(count)}
    with pytest.raises(msgspec.ValidationError):
        await step(batch.module, {"commands": commands})


# Ids


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (get_item.module, {"type": 2, "id": "x"}),
        (update_item.module, {"type": 2, "id": "", "fields": {"title": "x"}}),
        (add_activity.module, {"id": "0", "title": "x", "deadline": "2026-12-01"}),
        (add_task.module, {"title": "x", "responsible": "Anna"}),
        (add_task.module, {"title": "x", "responsible": 1, "deal": "D_7"}),
        (notify.module, {"user": "", "message": "x"}),
    ],
)
async def test_what_is_no_id_is_not_sent(module: Module[Any, Any], params: dict[str, Any]) -> None:
    outcome, calls = await step(module, params)
    assert isinstance(outcome, Reject)
    assert "id is a whole number" in outcome.reason
    assert calls == []
