"""The Bitrix24 modules against the stand-in portal: from a webhook to the CRM, repeats, refusals.

What each verb does for each kind of entry stands in test_bitrix24_verbs.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.sdk import Reject, Retry, Secret
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_contracts import CONTRACTS, check_against_contracts
from tests.integration.bitrix24_steps import MODULES, SECRET, Stand, open_stand


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A portal, and steps against it."""
    async with open_stand(tmp_path / "portal.db") as made:
        yield made


# From the webhook to the CRM


async def test_a_lead_of_an_unknown_person(stand: Stand) -> None:
    contact = await stand.step("find-contact", {"phone": "79161234567"})
    assert contact == {"ID": ""}
    assert await stand.step("find-deal", {"contact": contact["ID"]}) == {"value": ""}
    lead = await stand.step(
        "add-lead",
        {
            "title": "Call from the site",
            "phone": "79161234567",
            "email": "anna@site.example",
            "fields": {"SOURCE_ID": "WEB"},
        },
    )
    assert lead["repeated"] is False
    params = {"method": "crm.lead.get", "params": {"id": int(lead["ID"])}}
    stored = (await stand.step("call", params))["result"]
    assert (stored["TITLE"], stored["SOURCE_ID"]) == ("Call from the site", "WEB")
    assert [phone["VALUE"] for phone in stored["PHONE"]] == ["79161234567"]
    assert stored["ORIGINATOR_ID"] == "beltline"


async def test_a_call_of_a_known_person_with_a_deal(stand: Stand) -> None:
    added = await stand.step(
        "add-contact",
        {
            "name": "Anna",
            "phone": "+7 916 123-45-67",
            "email": "anna@site.example",
            "fields": {"POST": "Director"},
        },
    )
    by_phone = await stand.step("find-contact", {"phone": "89161234567"})
    by_mail = await stand.step(
        "find-contact", {"phone": "79990000000", "email": "anna@site.example"}
    )
    assert by_phone == by_mail
    assert (by_phone["ID"], by_phone["NAME"], by_phone["POST"]) == (added["ID"], "Anna", "Director")

    await stand.add_deal(added["ID"], CLOSED="Y", STAGE_ID="WON")
    older = await stand.add_deal(added["ID"])
    newer = await stand.add_deal(added["ID"])
    assert (await stand.step("find-deal", {"contact": added["ID"]})) == {"value": newer}
    first = {"contact": added["ID"], "filter": {"<ID": int(newer)}}
    assert (await stand.step("find-deal", first)) == {"value": older}

    deal = await stand.step("get-deal", {"id": newer})
    assert (deal["ID"], deal["TITLE"], deal["CONTACT_ID"]) == (newer, "Deal", added["ID"])
    changed = {"id": newer, "fields": {"STAGE_ID": "PREPARATION"}}
    assert await stand.step("update-deal", changed) == {"ID": newer}
    assert (await stand.step("get-deal", {"id": newer}))["STAGE_ID"] == "PREPARATION"

    comment = await stand.step("add-comment", {"id": newer, "comment": "A new call."})
    params = {"method": "crm.timeline.comment.get", "params": {"id": int(comment["ID"])}}
    stored = (await stand.step("call", params))["result"]
    assert (stored["COMMENT"], str(stored["ENTITY_ID"])) == ("A new call.", newer)


async def test_the_oldest_of_several_contacts_is_found(stand: Stand) -> None:
    first = await stand.step("add-contact", {"name": "A", "phone": "79161234567"}, run="run-1")
    await stand.step("add-contact", {"name": "B", "phone": "79161234567"}, run="run-2")
    assert (await stand.step("find-contact", {"phone": "79161234567"}))["ID"] == first["ID"]


# Repeated attempts

ADDING = [
    ("add-lead", {"title": "Call"}, "crm.lead.add", 1),
    ("add-deal", {"title": "Order"}, "crm.deal.add", 2),
    ("add-contact", {"name": "Anna"}, "crm.item.add", 3),
    ("add-company", {"title": "Veter Ltd"}, "crm.item.add", 4),
    ("add-item", {"type": 2, "fields": {"title": "Order"}}, "crm.item.add", 2),
    (
        "add-item",
        {"type": 2, "key_field": "UF_CRM_1", "fields": {"title": "Order"}},
        "crm.item.add",
        2,
    ),
]


@pytest.mark.parametrize(
    ("name", "params", "method", "entity_type_id"),
    ADDING,
)
async def test_an_answer_that_was_lost_makes_no_second_entry(
    stand: Stand, name: str, params: dict[str, Any], method: str, entity_type_id: int
) -> None:
    stand.portal.faults.order(Fault("lose-answer", method))
    lost = await stand.step(name, params)
    assert isinstance(lost, Retry)
    assert await stand.count(entity_type_id) == 1
    again = await stand.step(name, params, attempt=2)
    assert again["repeated"] is True
    assert await stand.count(entity_type_id) == 1


@pytest.mark.parametrize(
    ("name", "params", "method", "entity_type_id"),
    ADDING,
)
async def test_a_call_that_was_not_carried_out_is_made_up_for(
    stand: Stand, name: str, params: dict[str, Any], method: str, entity_type_id: int
) -> None:
    stand.portal.faults.order(Fault("drop", method))
    assert isinstance(await stand.step(name, params), Retry)
    assert await stand.count(entity_type_id) == 0
    assert (await stand.step(name, params, attempt=2))["repeated"] is False
    # Another run is another lead, though all its fields are the same.
    assert (await stand.step(name, params, run="run-2", attempt=2))["repeated"] is False
    assert await stand.count(entity_type_id) == 2


# Refusals


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (503, "QUERY_LIMIT_EXCEEDED", Retry),
        (429, "OPERATION_TIME_LIMIT", Retry),
        (500, "INTERNAL_SERVER_ERROR", Retry),
        (401, "expired_token", Reject),
        (403, "insufficient_scope", Reject),
        (400, "INVALID_REQUEST", Reject),
    ],
)
async def test_the_portals_errors(
    stand: Stand, status: int, error: str, outcome: type[Retry | Reject]
) -> None:
    stand.portal.faults.order(Fault("error", status=status, error=error, description="Words."))
    answer = await stand.step("get-deal", {"id": 1})
    assert isinstance(answer, outcome)
    assert f"{error} Words." in answer.reason


async def test_a_deal_that_is_not_there(stand: Stand) -> None:
    assert await stand.step("get-deal", {"id": 404}) == Reject(
        "crm.deal.get: Not found (status 400)"
    )


async def test_an_unknown_method(stand: Stand) -> None:
    outcome = await stand.step("call", {"method": "crm.nothing.here"})
    assert isinstance(outcome, Reject)
    assert "ERROR_METHOD_NOT_FOUND" in outcome.reason


async def test_a_wrong_secret_is_refused_and_not_repeated(stand: Stand) -> None:
    wrong = msgspec.structs.replace(stand.connection, secret=Secret("wr0ng"))
    outcome = await stand.step("get-deal", {"id": 1}, connection=wrong)
    assert isinstance(outcome, Reject)
    assert "wr0ng" not in outcome.reason


async def test_a_portal_on_a_private_address_needs_the_permission(stand: Stand) -> None:
    plain = msgspec.structs.replace(stand.connection, options={})
    outcome = await stand.step("get-deal", {"id": 1}, connection=plain)
    assert isinstance(outcome, Reject)
    assert "private_addresses: allow" in outcome.reason
    assert SECRET not in outcome.reason


async def test_a_portal_that_is_gone_is_tried_again(stand: Stand) -> None:
    gone = msgspec.structs.replace(stand.connection, address="http://127.0.0.1:1/rest/1/")
    outcome = await stand.step("get-deal", {"id": 1}, connection=gone)
    assert isinstance(outcome, Retry)
    assert SECRET not in outcome.reason


async def test_a_batch(stand: Stand) -> None:
    commands = {"a": "crm.lead.add?fields[TITLE]=One", "b": "crm.lead.get?id=$result[a]"}
    params = {"method": "batch", "params": {"halt": 0, "cmd": commands}}
    answer = await stand.step("call", params)
    assert answer["result"]["result"]["b"]["TITLE"] == "One"
    params = {"method": "batch", "params": {"halt": 0, "cmd": {"x": "crm.lead.get?id=404"}}}
    outcome = await stand.step("call", params)
    assert isinstance(outcome, Reject)
    assert "x: Not found" in outcome.reason


async def test_a_person_is_notified(stand: Stand) -> None:
    params = {"method": "im.notify", "params": {"USER_ID": 1, "MESSAGE": "A new lead."}}
    assert isinstance((await stand.step("call", params))["result"], int)


# Contracts


@pytest.mark.skipif(
    not CONTRACTS.is_dir(),
    reason="the folder with the vendor's contracts is not beside the repository",
)
@pytest.mark.parametrize("attempt", [1, 2])
async def test_the_examples_of_all_modules_keep_the_contracts(stand: Stand, attempt: int) -> None:
    contact = await stand.step("add-contact", {"name": "Anna", "phone": "79161234567"})
    await stand.step("add-lead", {"title": "Call", "phone": "79161234567"})
    await stand.add_deal(contact["ID"])
    stand.client.calls.clear()
    for module in MODULES:
        for index, example in enumerate(module.examples):
            await stand.step(
                module.name.removeprefix("bitrix24."),
                example.config,
                run=f"{module.name}-{index}",
                attempt=attempt,
            )
    methods = {name for name, _ in stand.client.calls}
    kinds = ("lead", "deal", "contact", "company")
    assert methods >= {f"crm.{kind}.{verb}" for kind in kinds for verb in ("get", "list")}
    assert methods >= {f"crm.item.{verb}" for verb in ("add", "get", "list", "update")}
    assert methods >= {
        *("crm.deal.update", "crm.deal.add", "crm.lead.add", "crm.duplicate.findbycomm"),
        *("crm.timeline.comment.add", "crm.activity.todo.add", "tasks.task.add", "batch"),
        *("im.notify", "im.notify.personal.add", "im.notify.system.add"),
    }
    assert ("tasks.task.list" in methods) == (attempt > 1)
    check_against_contracts(stand.client.calls)


def test_the_check_of_contracts_finds_what_breaks_them() -> None:
    """The checker itself, on calls that are wrong in one way each."""
    if not CONTRACTS.is_dir():
        pytest.skip("the folder with the vendor's contracts is not beside the repository")
    broken: list[tuple[str, dict[str, Any]]] = [
        ("crm.deal.get", {}),
        ("crm.deal.get", {"id": "x"}),
        ("crm.deal.get", {"id": 1, "ID": 1}),
        ("crm.lead.add", {"fields": {"TITEL": "x"}}),
        ("crm.lead.add", {"fields": {"PHONE": "7916"}}),
        ("crm.lead.add", {"fields": []}),
        ("crm.contact.add", {"fields": {"ORIGIN_ID": "x"}}),
        ("crm.lead.list", {"order": {"ID": "DESC"}}),
        ("crm.deal.list", {"filter": {"CONTACT": 1}}),
        ("crm.deal.list", {"select": ["NOTHING"]}),
        ("crm.timeline.comment.add", {"fields": {"ENTITY_ID": 1, "COMMENT": "x"}}),
    ]
    for name, params in broken:
        with pytest.raises(AssertionError):
            check_against_contracts([(name, params)])
