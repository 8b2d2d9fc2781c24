"""Every method that has a published contract answers as the contract says.

The contracts are the vendor's own, a JSON file a method. They are not part of this repository:
without the folder beside it these tests are skipped, and the rest of the suite does not need it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitrix24_portal.entities import ENTITIES
from bitrix24_portal.fields import is_dynamic
from tests.integration.bitrix24_portal.stand import Stand

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "bitrix24" / "methods"
CONTRACTS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in (sorted(FOLDER.glob("*.json")) if FOLDER.is_dir() else ())
}
pytestmark = pytest.mark.skipif(
    not CONTRACTS, reason="the folder with the vendor's contracts is not beside the repository"
)

# Families that the stand-in does not have; a contract of any other family must be served.
LEFT_OUT = (
    "event.offline.",
    "im.notify.answer",
    "im.notify.confirm",
    "im.notify.delete",
    "im.notify.get",
    "im.notify.history.",
    "im.notify.read",
    "im.notify.schema.",
    "telephony.",
)
SERVED = {name: one for name, one in CONTRACTS.items() if not name.startswith(LEFT_OUT)}

PHONES = [{"VALUE": "+7 912 345-67-89", "VALUE_TYPE": "WORK"}]
ACTIVITY = {
    "OWNER_ID": 1,
    "OWNER_TYPE_ID": 2,
    "TYPE_ID": 2,
    "RESPONSIBLE_ID": 1,
    "SUBJECT": "Звонок",
    "COMMUNICATIONS": [{"VALUE": "+79123456789", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3}],
}
HANDLER = {"event": "ONCRMLEADADD", "handler": "http://127.0.0.1:9/hook"}
OLDER: dict[str, dict[str, Any]] = {
    "add": {"fields": {"TITLE": "Новое", "NAME": "Иван"}},
    "get": {"id": 1},
    "list": {},
    "update": {"id": 1, "fields": {"COMMENTS": "Иначе"}},
    "delete": {"id": 1},
    "fields": {},
}
# Parameters with which each method succeeds on a portal that `_prepare` filled.
SAMPLES: dict[str, dict[str, Any]] = {
    **{
        f"crm.{entity}.{name}": params
        for entity in ("lead", "deal", "contact", "company")
        for name, params in OLDER.items()
    },
    "crm.item.add": {"entityTypeId": 2, "fields": {"title": "Сделка"}},
    "crm.item.update": {"entityTypeId": 2, "id": 1, "fields": {"title": "Сделка"}},
    "crm.item.get": {"entityTypeId": 1, "id": 1},
    "crm.item.list": {"entityTypeId": 1},
    "crm.item.delete": {"entityTypeId": 2, "id": 1},
    "crm.item.fields": {"entityTypeId": 2},
    "crm.item.import": {"entityTypeId": 2, "fields": {"title": "Сделка"}},
    "crm.item.batchImport": {"entityTypeId": 2, "data": [{"title": "Сделка"}]},
    "crm.duplicate.findbycomm": {"type": "PHONE", "values": ["89123456789"]},
    "crm.timeline.comment.add": {
        "fields": {"ENTITY_ID": 1, "ENTITY_TYPE": "deal", "COMMENT": "Новый"}
    },
    "crm.timeline.comment.get": {"id": 1},
    "crm.timeline.comment.list": {"filter": {"ENTITY_ID": 1, "ENTITY_TYPE": "deal"}},
    "crm.timeline.comment.update": {"id": 1, "fields": {"COMMENT": "Иной"}},
    "crm.timeline.comment.delete": {"id": 1},
    "crm.activity.add": {"fields": ACTIVITY},
    "crm.activity.get": {"id": 1},
    "crm.activity.list": {},
    "crm.activity.update": {"id": 1, "fields": {"SUBJECT": "Письмо"}},
    "crm.activity.todo.add": {"ownerTypeId": 2, "ownerId": 1, "deadline": "2026-09-01T10:00:00"},
    "crm.category.add": {"entityTypeId": 2, "fields": {"name": "Ещё"}},
    "crm.category.get": {"entityTypeId": 2, "id": 1},
    "crm.category.list": {"entityTypeId": 2},
    "crm.category.update": {"entityTypeId": 2, "id": 1, "fields": {"name": "Иная"}},
    "crm.category.delete": {"entityTypeId": 2, "id": 1},
    "crm.category.fields": {"entityTypeId": 2},
    "crm.status.add": {"fields": {"ENTITY_ID": "SOURCE", "STATUS_ID": "NEWS", "NAME": "Газета"}},
    "crm.status.get": {"id": 1},
    "crm.status.list": {"filter": {"ENTITY_ID": "DEAL_STAGE"}},
    "crm.status.update": {"id": 1, "fields": {"NAME": "Новый"}},
    "crm.status.delete": {"id": 2},
    "crm.status.fields": {},
    "tasks.task.add": {"fields": {"TITLE": "Позвонить", "RESPONSIBLE_ID": 1}},
    "tasks.task.get": {"taskId": 1},
    "tasks.task.list": {"filter": {"RESPONSIBLE_ID": 1}},
    "tasks.task.update": {"taskId": 1, "fields": {"DEADLINE": "2026-09-01T10:00:00"}},
    "event.bind": HANDLER,
    "event.unbind": HANDLER,
    "im.message.add": {"DIALOG_ID": "chat1", "MESSAGE": "Привет"},
    "im.notify": {"USER_ID": 1, "MESSAGE": "Привет"},
    "im.notify.personal.add": {"USER_ID": 1, "MESSAGE": "Привет"},
    "im.notify.system.add": {"USER_ID": 1, "MESSAGE": "Привет"},
    "user.get": {},
    "user.search": {"FILTER": {"NAME": "Анна"}},
}


async def _prepare(stand: Stand) -> None:
    company = await stand.add("company", TITLE="ООО «Ветер»", PHONE=PHONES)
    contact = await stand.add(
        "contact", NAME="Иван", PHONE=PHONES, EMAIL=PHONES, COMPANY_ID=company
    )
    await stand.add("lead", TITLE="Заявка", PHONE=PHONES, IM=PHONES)
    await stand.add("deal", TITLE="Сделка", CONTACT_ID=contact)
    await stand.result("crm.timeline.comment.add", SAMPLES["crm.timeline.comment.add"])
    await stand.result("crm.activity.add", SAMPLES["crm.activity.add"])
    await stand.result("crm.category.add", SAMPLES["crm.category.add"])
    await stand.result("tasks.task.add", SAMPLES["tasks.task.add"])


def test_every_contract_is_served_or_left_out_by_name(stand: Stand) -> None:
    missing = [name for name in SERVED if stand.portal.methods.find(name) is None]
    assert missing == []
    assert set(SERVED) <= set(SAMPLES)
    served_after_all = [
        name for name in set(CONTRACTS) - set(SERVED) if stand.portal.methods.find(name) is not None
    ]
    assert served_after_all == []


@pytest.mark.parametrize("name", SERVED)
async def test_each_parameter_is_known_and_required_ones_are_missed(
    stand: Stand, name: str
) -> None:
    contract = SERVED[name]
    told = [one for one in contract["params"] if one["name"] != "time"]
    if len(told) < len(contract["params"]):
        return  # such a file lists the answer's fields where the parameters stand
    method = stand.portal.methods.find(name)
    assert method is not None
    assert {one["name"].lower() for one in told} <= {one.name.lower() for one in method.params}
    await _prepare(stand)
    for param in told:
        if param["required"] is not True:
            continue
        assert param["name"] in SAMPLES[name], f"the sample of {name} lacks {param['name']}"
        without = {key: one for key, one in SAMPLES[name].items() if key != param["name"]}
        status, _code, description = await stand.refusal(name, without)
        assert status == 400, param["name"]
        assert description


@pytest.mark.parametrize("name", SERVED)
async def test_the_answer_has_the_shape_of_the_contract(stand: Stand, name: str) -> None:
    contract = SERVED[name]
    await _prepare(stand)
    if name == "event.unbind":
        await stand.call("event.bind", HANDLER)
    envelope = await stand.call(name, SAMPLES[name])
    told = {one["name"] for one in contract.get("returns", ()) if one["name"] != "next"}
    for counter in {"total", "time"} & told:
        assert counter in envelope
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} <= set(
        envelope["time"]
    )
    assert {"operating", "operating_reset_at"} <= set(envelope["time"])
    example = contract.get("resultExample")
    if example is None:
        _check_declared_type(contract, envelope["result"])
    else:
        _check_like(envelope["result"], example["result"], name)


def _check_declared_type(contract: dict[str, Any], result: object) -> None:
    declared = next(
        (one["type"] for one in contract.get("returns", ()) if one["name"] == "result"), None
    )
    kinds: dict[str, type] = {"array": list, "boolean": bool, "integer": int, "object": dict}
    if declared in kinds:
        assert type(result) is kinds[declared]


def _other_portals_own(name: str) -> bool:
    """Fields that the portal of the example had and another need not have."""
    return is_dynamic(name) or name.startswith(("ufCrm", "parentId"))


def _check_like(ours: Any, example: Any, where: str) -> None:
    """The same kind of value; of an object, at least the example's names, recursively."""
    if example is None or ours is None:
        return  # a field without a value shows nothing of its type
    if isinstance(example, dict) and where.endswith((".FILES", ".fields.fields")):
        assert isinstance(ours, dict), where
        for one in ours.values() if where.endswith(".fields") else ():
            assert {"type", "isRequired", "isReadOnly", "isMultiple", "title"} <= set(one)
        return
    if {type(ours), type(example)} == {int, float}:
        return
    if {type(ours), type(example)} == {dict, list} and not (ours and example):
        return  # PHP writes an empty object as a list
    assert type(ours) is type(example), f"{where}: {ours!r} is not like {example!r}"
    if isinstance(example, dict):
        names = {name for name in example if not _other_portals_own(name)}
        if where == "crm.duplicate.findbycomm":
            names &= set(ours)
        assert names <= set(ours), f"{where} lacks {sorted(names - set(ours))}"
        for name in names:
            _check_like(ours[name], example[name], f"{where}.{name}")
    elif isinstance(example, list) and example and ours:
        if where in {"crm.company.list", "crm.contact.list", "crm.deal.list"}:
            example = [{name: one for name, one in example[0].items() if name.isupper()}]
            example[0].pop("PHONE", None)
            example[0].pop("EMAIL", None)
        _check_like(ours[0], example[0], f"{where}[0]")


@pytest.mark.parametrize("entity", ["lead", "deal", "company"])
async def test_fields_are_described_as_the_contract_describes_them(
    stand: Stand, entity: str
) -> None:
    contract = SERVED[f"crm.{entity}.fields"]
    ours = await stand.result(f"crm.{entity}.fields")
    told = {
        name: one
        for name, one in contract["resultExample"]["result"].items()
        if not _other_portals_own(name)
    }
    assert set(ours) == set(told)
    compared = ("type", "isRequired", "isReadOnly", "isImmutable", "isMultiple", "statusType")
    # The page about companies calls the last activity writable; those of leads and deals do not.
    loose = {"LAST_ACTIVITY_TIME", "LAST_ACTIVITY_BY"} if entity == "company" else set()
    for name in set(told) - loose:
        assert {key: ours[name].get(key) for key in compared} == {
            key: told[name].get(key) for key in compared
        }, name


WRITTEN = [
    (name, field)
    for name, one in SERVED.items()
    if name.endswith(".add") and name.split(".")[1] in {"lead", "deal", "contact", "company"}
    for field in one["defs"]["fieldsFields"]["fields"]
]


@pytest.mark.parametrize(
    ("name", "field"), WRITTEN, ids=[f"{name}:{field['name']}" for name, field in WRITTEN]
)
async def test_each_field_of_add_can_be_written_and_read_back(
    stand: Stand, name: str, field: dict[str, Any]
) -> None:
    entity = name.split(".")[1]
    written = field["name"].replace("...", "177")
    if field["type"] == "file":
        status, code, description = await stand.refusal(
            name, {"fields": {"TITLE": "Т", written: {"fileData": ["a.png", "AA=="]}}}
        )
        assert (status, code) == (400, "")
        assert written in description
        return
    if written == "TRACE":  # the way of a visitor through a site: taken and not shown
        assert await stand.add(entity, TITLE="Т", TRACE="{}") == 1
        return
    value = _value_for(entity, written, field["type"])
    id = await stand.add(entity, **{"TITLE": "Т", written: value})
    row = await stand.result(f"crm.{entity}.get", {"id": id})
    if written in {"CONTACT_IDS", "COMPANY_IDS"}:
        assert row[written.removesuffix("S")] == "7"
    elif isinstance(value, list):
        assert [one["VALUE"] for one in row[written]] == ["+79123456789"]
    elif written in {"CLOSED", "CATEGORY_ID"}:
        assert row[written] in {"N", "0"}  # the stage says whether a deal is closed
    else:
        assert str(row[written]).startswith(str(value).removesuffix(".5"))


def _value_for(entity: str, name: str, kind: str) -> Any:
    if name in {"CONTACT_IDS", "COMPANY_IDS"}:
        return [7, 8]
    if kind.startswith("crm_multifield"):
        return [{"VALUE": "+79123456789", "VALUE_TYPE": "WORK"}]
    if name in {"STATUS_ID", "STAGE_ID"}:
        return "IN_PROCESS" if entity == "lead" else "EXECUTING"
    by_kind: dict[str, Any] = {
        "user": 2,
        "integer": 5,
        "location": 5,
        "crm_company": 7,
        "crm_contact": 7,
        "crm_category": 0,
        "double": 19.5,
        "char": "Y",
        "boolean": "Y",
        "date": "2026-09-01",
    }
    return by_kind.get(kind, "Значение")


async def test_each_field_of_item_add_belongs_to_some_entity(stand: Stand) -> None:
    known: set[str] = set()
    for entity in ENTITIES:
        described = await stand.result("crm.item.fields", {"entityTypeId": entity.type_id})
        known |= set(described["fields"])
    told = {
        field["name"]
        for field in SERVED["crm.item.add"]["defs"]["fieldsFields"]["fields"]
        if not field["name"].endswith("...")
    }
    assert told <= known
