"""The amoCRM modules against a stand-in of an account, over HTTP and the outgoing client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import uvicorn
from starlette.responses import Response

from beltline.catalog.connection_tests import Examination, check_connection
from beltline.egress.client import OutgoingClient
from beltline.sdk import Connection, Reject, Retry, Secret
from beltline.sdk.testing import answer, given
from tests.integration.amocrm import BLOCKED_AFTER, RATE, Account
from tests.unit.catalog.shipped import SHIPPED

MODULES = {module.name: module for module in SHIPPED.values() if module.connection == "amocrm"}
TOKEN = "l0ng-lived"
KEY_FIELD = 412399


class Stand:
    """An account on loopback, and steps that are carried out against it."""

    def __init__(self, account: Account, client: OutgoingClient, port: int) -> None:
        self.account = account
        self.client = client
        self.connection = Connection(
            name="crm",
            kind="amocrm",
            address=f"http://127.0.0.1:{port}",
            secret=Secret(TOKEN),
            options={"private_addresses": "allow"},
        )

    async def step(
        self, name: str, params: dict[str, Any], *, run: str = "run-1", attempt: int = 1
    ) -> Any:
        """What the step answers."""
        context = given(run=run, attempt=attempt, connection=self.connection)
        context.http = self.client
        return await answer(MODULES[f"amocrm.{name}"], params, context)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    account = Account(TOKEN)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        account.app(), log_level="critical", access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    async with OutgoingClient() as client:
        yield Stand(account, client, listening.getsockname()[1])
    server.should_exit = True
    await serving


# From a call to a lead


@pytest.mark.parametrize("kind", ["contact", "company"])
async def test_whoever_was_added_is_found_by_phone_in_any_notation(stand: Stand, kind: str) -> None:
    nobody = await stand.step(f"find-{kind}", {"phone": "79161234567"})
    assert nobody == {"id": ""}
    others = await stand.step(f"add-{kind}", {"name": "9161234567", "phone": "79160000000"})
    added = await stand.step(
        f"add-{kind}",
        {"name": "Anna", "phone": "+7 (916) 123-45-67", "email": "anna@site.example"},
    )
    await stand.step(f"add-{kind}", {"name": "Younger", "phone": "89161234567"})
    assert added["id"] != others["id"]
    for asked in (
        {"phone": "8 916 123 45 67"},
        {"phone": 79161234567},
        {"phone": "79990000000", "email": "Anna@Site.example"},
    ):
        found = await stand.step(f"find-{kind}", asked)
        assert (found["id"], found["name"]) == (added["id"], "Anna")
    assert await stand.step(f"find-{kind}", {"email": "nna@site.example"}) == {"id": ""}
    refused = await stand.step(f"find-{kind}", {"phone": " ", "email": ""})
    assert isinstance(refused, Reject)


async def test_the_newest_open_lead_of_the_contact(stand: Stand) -> None:
    contact = (await stand.step("add-contact", {"name": "Anna"}))["id"]
    assert await stand.step("find-lead", {"contact": ""}) == {"id": ""}
    assert await stand.step("find-lead", {"contact": contact}) == {"id": ""}
    company = (await stand.step("add-company", {"name": "Veter"}))["id"]
    leads = []
    for number in range(3):
        lead = {"name": f"Order {number}", "price": 1500, "contact": str(contact)}
        more = {"company": company, "tags": ["site"], "fields": {"412345": "page"}}
        leads.append((await stand.step("add-lead", {**lead, **more}))["id"])
    await stand.step("add-lead", {"name": "Of nobody"})
    stored = stand.account.entries["leads"][leads[0]]
    assert stored["_embedded"] == {
        "contacts": [{"id": contact}],
        "companies": [{"id": company}],
        "tags": [{"name": "site"}],
    }
    assert stored["custom_fields_values"][0]["values"] == [{"value": "page"}]
    assert (await stand.step("find-lead", {"contact": contact}))["id"] == leads[2]
    await stand.step("update-lead", {"id": leads[2], "set": {"status_id": 142}})
    assert (await stand.step("find-lead", {"contact": contact}))["id"] == leads[1]
    elsewhere = {"contact": contact, "pipeline": 8}
    assert await stand.step("find-lead", elsewhere) == {"id": ""}


@pytest.mark.parametrize("kind", ["contact", "company", "lead"])
async def test_values_are_changed_and_a_second_time_to_the_same(stand: Stand, kind: str) -> None:
    added = await stand.step(f"add-{kind}", {"name": "A", "fields": {"PHONE": ["1", "2"]}})
    change = {"id": str(added["id"]), "set": {"name": "B"}}
    change |= {"fields": {"PHONE": "3", "412345": ""}}
    for _ in range(2):
        assert await stand.step(f"update-{kind}", change) == {"id": added["id"]}
    plural = {"contact": "contacts", "company": "companies", "lead": "leads"}[kind]
    entry = stand.account.entries[plural][added["id"]]
    assert entry["name"] == "B"
    [phone] = entry["custom_fields_values"]
    assert phone["values"] == [{"value": "3", "enum_code": "WORK"}]
    assert isinstance(await stand.step(f"update-{kind}", {"id": 1}), Reject)
    gone = await stand.step(f"update-{kind}", {**change, "id": 404})
    assert isinstance(gone, Reject)
    assert "no such entry" in gone.reason


async def test_notes_and_tasks(stand: Stand) -> None:
    lead = (await stand.step("add-lead", {"name": "Order"}))["id"]
    contact = (await stand.step("add-contact", {"name": "Anna"}))["id"]
    await stand.step("add-note", {"id": lead, "text": "Called."})
    await stand.step("add-note", {"id": contact, "entity": "contact", "text": "Called."})
    assert [(note["kind"], note["entry"]) for note in stand.account.notes] == [
        ("leads", lead),
        ("contacts", contact),
    ]
    task = {"text": "Call", "until": "2026-12-01T18:00:00+03:00"}
    await stand.step("add-task", {**task, "id": lead, "responsible": 5})
    await stand.step("add-task", {**task, "id": ""})
    about, alone = stand.account.tasks
    assert (about["entity_type"], about["entity_id"], about["responsible_user_id"]) == (
        "leads",
        lead,
        5,
    )
    assert alone["complete_till"] == 1_796_137_200
    assert "entity_id" not in alone
    for until in ("tomorrow", "2026-12-01T18:00:00"):
        outcome = await stand.step("add-task", {**task, "until": until})
        assert isinstance(outcome, Reject)
        assert "`until`" in outcome.reason


# Repeats


@pytest.mark.parametrize("kind", ["contact", "company", "lead"])
async def test_with_a_field_for_its_key_nothing_is_added_twice(stand: Stand, kind: str) -> None:
    params = {"name": "Anna", "key_field": KEY_FIELD}
    stand.account.lost = 1
    assert isinstance(await stand.step(f"add-{kind}", params), Retry)
    again = await stand.step(f"add-{kind}", params, attempt=2)
    assert again == {"id": 1, "repeated": True}
    other = await stand.step(f"add-{kind}", params, run="run-2", attempt=2)
    assert other == {"id": 2, "repeated": False}


async def test_without_one_it_is_added_again(stand: Stand) -> None:
    stand.account.lost = 1
    await stand.step("add-lead", {"name": "Order"})
    again = await stand.step("add-lead", {"name": "Order"}, attempt=2)
    assert again == {"id": 2, "repeated": False}


# Limits and refusals


async def test_past_the_limit_a_step_waits_and_past_patience_it_is_told(stand: Stand) -> None:
    stand.account.limited = True
    for number in range(RATE):
        await stand.step("add-contact", {"name": str(number)})
    refused = await stand.step("add-contact", {"name": "one too many"})
    assert isinstance(refused, Retry)
    assert refused.after_s == 1
    for _ in range(BLOCKED_AFTER - 1):
        await stand.step("add-contact", {"name": "one too many"})
    blocked = await stand.step("add-contact", {"name": "one too many"})
    assert isinstance(blocked, Reject)
    assert "blocked" in blocked.reason
    assert len(stand.account.entries["contacts"]) == RATE


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(500, Retry), (502, Retry), (504, Retry), (429, Retry), (402, Reject), (200, Retry)],
)
async def test_what_passes_is_tried_again(
    stand: Stand, status: int, outcome: type[Retry | Reject]
) -> None:
    stand.account.faults.append(Response("<html>", status))
    assert isinstance(await stand.step("add-contact", {"name": "A"}), outcome)


async def test_a_wrong_value_is_told_in_the_services_words(stand: Stand) -> None:
    outcome = await stand.step("add-contact", {"name": "A", "fields": {"999": "x"}})
    assert isinstance(outcome, Reject)
    assert "custom_fields_values.0.field_id: Not a valid choice." in outcome.reason
    nameless = await stand.step("add-contact", {"name": "A", "fields": {"phone": "x"}})
    assert isinstance(nameless, Reject)
    assert "'phone' is no field" in nameless.reason


@pytest.mark.parametrize("id", ["", "0", "x", "1/notes", "²", -1])
async def test_what_is_no_id_is_not_sent(stand: Stand, id: str | int) -> None:
    for name, params in (("update-lead", {"set": {"name": "x"}}), ("add-note", {"text": "x"})):
        outcome = await stand.step(name, {"id": id, **params})
        assert isinstance(outcome, Reject)
        assert "`id`" in outcome.reason
    assert stand.account.calls == []


async def test_an_expired_token_is_told_and_not_shown(stand: Stand) -> None:
    stand.account.token = "another"
    outcome = await stand.step("add-contact", {"name": "A"})
    assert isinstance(outcome, Reject)
    assert "make a new long-lived one" in outcome.reason
    assert TOKEN not in outcome.reason


async def test_the_connection(stand: Stand) -> None:
    tested = await check_connection(stand.connection, stand.client)
    assert tested == Examination(True, "the account 'Veter' (321) takes the token")
    wrong = msgspec.structs.replace(stand.connection, secret=Secret("wr0ng"))
    refused = await check_connection(wrong, stand.client)
    assert (refused.ok, "token is not taken" in refused.found) == (False, True)
    assert "wr0ng" not in refused.found
    bare = msgspec.structs.replace(stand.connection, secret=None)
    assert "needs `address`" in (await check_connection(bare, stand.client)).found
