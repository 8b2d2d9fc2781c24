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
from beltline.modules.bitrix24 import (
    add_comment,
    add_contact,
    add_lead,
    call,
    find_contact,
    find_deal,
    get_deal,
    update_deal,
)
from beltline.sdk import Connection, HttpResponse, Module, Reject, Retry, Secret
from beltline.sdk.testing import given
from bitrix24_portal import Portal, PortalSettings, create_app
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_contracts import CONTRACTS, check_against_contracts

MODULES: list[Module[Any, Any]] = [
    add_comment.module,
    add_contact.module,
    add_lead.module,
    call.module,
    find_contact.module,
    find_deal.module,
    get_deal.module,
    update_deal.module,
]
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


@pytest.mark.parametrize(
    ("name", "params", "method", "entity_type_id"),
    [
        ("add-lead", {"title": "Call"}, "crm.lead.add", 1),
        ("add-contact", {"name": "Anna"}, "crm.item.add", 3),
    ],
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
    [
        ("add-lead", {"title": "Call"}, "crm.lead.add", 1),
        ("add-contact", {"name": "Anna"}, "crm.item.add", 3),
    ],
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
    assert methods >= {
        "crm.contact.get",
        "crm.deal.get",
        "crm.deal.list",
        "crm.deal.update",
        "crm.duplicate.findbycomm",
        "crm.item.add",
        "crm.lead.add",
        "crm.timeline.comment.add",
        "im.notify",
    }
    if attempt > 1:
        assert "crm.lead.list" in methods
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
