"""The modules for 1C against a stand-in of its OData, over HTTP and the outgoing client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import uvicorn

from beltline.catalog.connection_tests import Examination, check_connection
from beltline.egress.client import OutgoingClient
from beltline.modules.onec import create, post, read, update
from beltline.sdk import Connection, Module, Reject, Retry, Secret
from beltline.sdk.testing import answer, given
from tests.integration.onec import ROOT, Infobase

CUSTOMERS = "Catalog_Контрагенты"
ORDERS = "Document_Заказ"
PASSWORD = "пар0ль"
ENTITIES = {
    CUSTOMERS: {"Description", "ИНН", "Сумма", "DeletionMark", "КлючЗаявки", "Владелец_Key"},
    ORDERS: {"Number", "Date", "Контрагент_Key", "Комментарий"},
}


class Stand:
    """An infobase on loopback, and steps that are carried out against it."""

    def __init__(self, base: Infobase, client: OutgoingClient, port: int) -> None:
        self.base = base
        self.client = client
        self.connection = Connection(
            name="accounts",
            kind="onec",
            address=f"http://127.0.0.1:{port}{ROOT}",
            secret=Secret(PASSWORD),
            options={"private_addresses": "allow", "user": "Обмен"},
        )

    async def step(
        self, module: Module[Any, Any], params: dict[str, Any], *, run: str = "r", attempt: int = 1
    ) -> Any:
        """What the step answers."""
        context = given(run=run, attempt=attempt, connection=self.connection)
        context.http = self.client
        return await answer(module, params, context)

    async def customer(self, name: str, **fields: Any) -> str:
        """A customer; gives its reference."""
        params = {"entity": CUSTOMERS, "fields": {"Description": name, **fields}}
        return str((await self.step(create.module, params))["Ref_Key"])

    async def found(self, filter: str, **parameters: Any) -> Any:
        """The names of the customers that fit, or the refusal."""
        params = {"entity": CUSTOMERS, "filter": filter, "parameters": parameters}
        answered = await self.step(read.module, params)
        if isinstance(answered, Retry | Reject):
            return answered
        return [one["Description"] for one in answered["items"]]


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    base = Infobase("Обмен", PASSWORD, ENTITIES)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        base.app(), log_level="critical", access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    async with OutgoingClient() as client:
        yield Stand(base, client, listening.getsockname()[1])
    server.should_exit = True
    await serving


async def test_an_order_of_a_customer_is_created_changed_and_posted(stand: Stand) -> None:
    customer = await stand.customer("Veter", ИНН="7707083893")
    params = {"entity": ORDERS, "fields": {"Number": "1", "Контрагент_Key": customer}}
    order = await stand.step(create.module, params)
    assert (order["entry"]["Контрагент_Key"], order["repeated"]) == (customer, False)
    change = {"entity": ORDERS, "id": order["Ref_Key"].upper(), "fields": {"Комментарий": "x"}}
    for _ in range(2):
        changed = await stand.step(update.module, change)
        assert (changed["Ref_Key"], changed["entry"]["Комментарий"]) == (order["Ref_Key"], "x")
    for action, posted in (("post", True), ("post", True), ("unpost", False)):
        asked = {"entity": ORDERS, "id": order["Ref_Key"], "action": action}
        assert await stand.step(post.module, asked) == {
            "Ref_Key": order["Ref_Key"],
            "posted": posted,
        }
        assert stand.base.rows[ORDERS][0]["Posted"] is posted


async def test_a_document_that_cannot_be_posted_is_told_in_the_words_of_1c(stand: Stand) -> None:
    params = {"entity": ORDERS, "fields": {"Number": "1"}}
    order = (await stand.step(create.module, params))["Ref_Key"]
    stand.base.unpostable.add(order)
    outcome = await stand.step(post.module, {"entity": ORDERS, "id": order})
    assert isinstance(outcome, Retry)
    assert "Недостаточно товара" in outcome.reason


# Reading


async def test_a_page_tells_whether_there_are_more(stand: Stand) -> None:
    for number in range(5):
        await stand.customer(f"C{number}")
    asked = {"entity": CUSTOMERS, "select": ["Description"], "order": "Description desc"}
    page = await stand.step(read.module, {**asked, "limit": 3})
    assert [one["Description"] for one in page["items"]] == ["C4", "C3", "C2"]
    assert (page["first"], page["has_more"]) == ({"Description": "C4"}, True)
    last = await stand.step(read.module, {**asked, "limit": 3, "skip": 3})
    assert ([one["Description"] for one in last["items"]], last["has_more"]) == (
        ["C1", "C0"],
        False,
    )
    exact = await stand.step(read.module, {**asked, "limit": 5})
    assert exact["has_more"] is False
    nothing = await stand.step(
        read.module, {**asked, "filter": "Description eq :name", "parameters": {"name": "none"}}
    )
    assert nothing == {"items": [], "first": None, "has_more": False}


HOSTILE = [
    "' or true eq true or Description eq '",
    "x' and DeletionMark eq false and Description ne 'y",
    "''",
    "'",
    ":other",
    "guid'0a4d5a3e-8f3c-11ee-9d2a-00155d012a01'",
    "a&$filter=Description ne 'x'&$top=9",
    "a%27 or 1 eq 1",
    "a#b?c/d",
    "Ветер «Ы» 😀\n",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_value_cannot_change_the_condition(stand: Stand, name: str) -> None:
    await stand.customer("innocent")
    await stand.customer(name)
    for filter in (
        "Description eq :name",
        "Description eq :name and DeletionMark eq false",
        "Description ne 'it''s :name' and Description eq :name",
    ):
        assert await stand.found(filter, name=name) == [name]
    assert await stand.found("Description ne :name", name=name) == ["innocent"]


async def test_each_kind_of_value_is_a_literal_of_its_own(stand: Stand) -> None:
    owner = "0a4d5a3e-8f3c-11ee-9d2a-00155d012a01"
    await stand.customer("A", Сумма=12.5, Владелец_Key=owner)
    await stand.customer("B", Сумма=3)
    assert await stand.found("Сумма eq :sum", sum=12.5) == ["A"]
    assert await stand.found("Сумма eq :sum", sum=3) == ["B"]
    assert await stand.found("Владелец_Key eq :owner", owner={"guid": owner.upper()}) == ["A"]
    assert await stand.found("Владелец_Key eq :owner", owner=None) == ["B"]
    assert await stand.found("DeletionMark eq :gone", gone=False) == ["A", "B"]
    await stand.found("Сумма eq :at", at={"datetime": "2026-12-01T18:00:00+03:00"})
    assert stand.base.filters[-1] == "Сумма eq datetime'2026-12-01T18:00:00'"


@pytest.mark.parametrize(
    "value",
    [
        {"guid": "' or 1 eq 1"},
        {"guid": "0a4d5a3e"},
        {"guid": "0a4d5a3e-8f3c-11ee-9d2a-00155d012a01", "more": 1},
        {"datetime": "2026-12-01' or 1 eq 1"},
        {"datetime": "soon"},
        {"raw": "1 eq 1"},
        ["a", "b"],
        "x" * 2_001,
    ],
)
async def test_what_is_no_value_is_refused(stand: Stand, value: Any) -> None:
    outcome = await stand.found("Description eq :name", name=value)
    assert isinstance(outcome, Reject)
    assert stand.base.filters == []


async def test_values_and_their_places_go_together(stand: Stand) -> None:
    missing = await stand.found("Description eq :name")
    assert isinstance(missing, Reject)
    assert ":name" in missing.reason
    unused = await stand.found("Description eq :name", name="x", inn="7")
    assert isinstance(unused, Reject)
    assert "'inn'" in unused.reason


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (read.module, {"entity": "Catalog_X/../Document_Y"}),
        (read.module, {"entity": "$metadata"}),
        (post.module, {"entity": CUSTOMERS, "id": "x"}),
        (create.module, {"entity": CUSTOMERS, "fields": {"a": 1}, "key_field": "a eq 1 or b"}),
    ],
)
async def test_what_is_no_entity_or_field_is_not_asked_for(
    stand: Stand, module: Module[Any, Any], params: dict[str, Any]
) -> None:
    with pytest.raises(msgspec.ValidationError):
        await stand.step(module, params)


@pytest.mark.parametrize("id", ["", "1", "0a4d5a3e-8f3c-11ee-9d2a-00155d012a01')/Post"])
async def test_what_is_no_reference_is_not_asked_for(stand: Stand, id: str) -> None:
    for module, more in ((update.module, {"fields": {"Комментарий": "x"}}), (post.module, {})):
        outcome = await stand.step(module, {"entity": ORDERS, "id": id, **more})
        assert isinstance(outcome, Reject)
        assert "GUID" in outcome.reason


# Repeats and refusals


async def test_with_a_field_for_its_key_nothing_is_created_twice(stand: Stand) -> None:
    params = {
        "entity": CUSTOMERS,
        "fields": {"Description": "Veter"},
        "key_field": "КлючЗаявки",
    }
    stand.base.lost = 1
    assert isinstance(await stand.step(create.module, params), Retry)
    again = await stand.step(create.module, params, attempt=2)
    assert (again["repeated"], len(stand.base.rows[CUSTOMERS])) == (True, 1)
    other = await stand.step(create.module, params, run="other", attempt=2)
    assert (other["repeated"], len(stand.base.rows[CUSTOMERS])) == (False, 2)
    plain = {"entity": CUSTOMERS, "fields": {"Description": "Veter"}}
    assert (await stand.step(create.module, plain, attempt=2))["repeated"] is False


async def test_the_words_of_1c_end_the_visit(stand: Stand) -> None:
    unknown = {"entity": CUSTOMERS, "fields": {"Nothing": 1}}
    assert await stand.step(create.module, unknown) == Reject(
        f"{CUSTOMERS}: Свойство Nothing не найдено (status 400)"
    )
    absent = await stand.step(read.module, {"entity": "Catalog_Нет"})
    assert isinstance(absent, Reject)
    assert "не найдена" in absent.reason
    empty = await stand.step(create.module, {"entity": CUSTOMERS, "fields": {}})
    assert isinstance(empty, Reject)


async def test_the_connection(stand: Stand) -> None:
    tested = await check_connection(stand.connection, stand.client)
    assert tested == Examination(True, "1C takes the user, and publishes 2 objects")
    wrong = msgspec.structs.replace(stand.connection, secret=Secret("wr0ng"))
    refused = await check_connection(wrong, stand.client)
    assert (refused.ok, "password is not taken" in refused.found) == (False, True)
    assert "wr0ng" not in refused.found
    elsewhere = msgspec.structs.replace(
        stand.connection, address=stand.connection.address.removesuffix("/standard.odata")
    )
    assert (await check_connection(elsewhere, stand.client)).ok is False
    bare = msgspec.structs.replace(stand.connection, options={})
    assert "`user`" in (await check_connection(bare, stand.client)).found
    stand.base.entities.clear()
    silent = await check_connection(stand.connection, stand.client)
    assert (silent.ok, "publishes nothing" in silent.found) == (False, True)
