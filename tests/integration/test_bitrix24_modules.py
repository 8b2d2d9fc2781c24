"""The Bitrix24 modules against the stand-in portal, over HTTP and through the outgoing client.

Every call that a module makes here is also held against the vendor's published contract of its
method, where the folder with the contracts lies beside the repository.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from beltline.catalog.catalog import Catalog
from beltline.egress.client import OutgoingClient
from beltline.sdk import Connection, HttpResponse, Reject, Retry, Secret
from beltline.sdk.bitrix24 import KIND
from beltline.sdk.testing import given
from bitrix24_portal import Portal, PortalSettings, create_app
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_contracts import CONTRACTS, check_against_contracts
from tests.unit.catalog.shipped import SHIPPED

MODULES = [module for module in SHIPPED.values() if module.connection == KIND]
CATALOG = Catalog(MODULES)
SECRET = "w3bh00k"


class RecordingClient:
    """The outgoing client, and each REST call that went through it as (method, parameters)."""

    def __init__(self, inner: OutgoingClient) -> None:
        self._inner = inner
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """Sends the request on."""
        name = url.rpartition("/")[2].removesuffix(".json")
        self.calls.append((name, json.loads(body or b"{}")))
        return await self._inner.request(
            method, url, headers=headers, body=body, timeout_s=timeout_s, connection=connection
        )


class Stand:
    """A portal on loopback, and steps that are carried out against it."""

    def __init__(self, portal: Portal, client: RecordingClient, port: int) -> None:
        self.portal = portal
        self.client = client
        self.connection = Connection(
            name="crm",
            kind="bitrix24",
            address=f"http://127.0.0.1:{port}/rest/1/",
            secret=Secret(SECRET),
            options={"private_addresses": "allow"},
        )

    async def step(
        self,
        name: str,
        params: dict[str, Any],
        *,
        run: str = "run-1",
        attempt: int = 1,
        connection: Connection | None = None,
    ) -> Any:
        """What the step answers: its result as JSON data, a `Retry` or a `Reject`."""
        invocation = CATALOG.invocation(f"bitrix24.{name}@1")
        assert invocation is not None
        context = given(run=run, attempt=attempt, connection=connection or self.connection)
        context.http = self.client
        handler: Any = invocation.module.handler
        answer = await handler(invocation.decode(params), context)
        if isinstance(answer, Retry | Reject):
            return answer
        assert invocation.fits(answer)
        return msgspec.to_builtins(answer)

    async def count(self, entity_type_id: int) -> int:
        """How many leads (1), deals (2) or contacts (3) there are."""
        params = {"method": "crm.item.list", "params": {"entityTypeId": entity_type_id}}
        return int((await self.step("call", params))["total"])

    async def add_deal(self, contact: str, **fields: Any) -> str:
        """A deal of the contact."""
        params = {"fields": {"TITLE": "Deal", "CONTACT_ID": int(contact), **fields}}
        added = await self.step("call", {"method": "crm.deal.add", "params": params})
        return str(added["result"])


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    settings = PortalSettings(data=tmp_path / "portal.db", secret=SECRET, rate_per_s=0.0)
    portal = Portal(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(portal), log_level="critical", access_log=False, lifespan="on", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    async with OutgoingClient() as client:
        recording = RecordingClient(client)
        yield Stand(portal, recording, listening.getsockname()[1])
    server.should_exit = True
    await serving
    check_against_contracts(recording.calls)


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
