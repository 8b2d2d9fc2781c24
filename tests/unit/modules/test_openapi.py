"""Modules out of an OpenAPI document: one for each operation, sent to a real local server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from beltline.catalog.catalog import Catalog
from beltline.catalog.discovery import of_home
from beltline.egress.client import OutgoingClient
from beltline.modules.openapi.building import built
from beltline.modules.openapi.reading import BadDocument, read_operations
from beltline.sdk import Connection, Reject, Retry, Secret
from beltline.sdk.testing import answer, given

FILE = Path(__file__).with_name("shop.yaml")
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
FOUND = read_operations(DOCUMENT)
CATALOG = Catalog(built(DOCUMENT, FOUND, "shop"))
ORDER = {"phone": "1", "comment": None, "items": [{"sku": "A-1", "price": 0.5}]}


class Shop:
    """A server that keeps what it is asked, and gives the answers that the test sets."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.status = 200
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Any request."""
        body = await request.text()
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        return web.json_response({"ok": True}, status=self.status)

    async def call(self, name: str, **parameters: Any) -> Any:
        """What a step of the module `shop.NAME` gives."""
        module = CATALOG.module(f"shop.{name}")
        assert module is not None
        options = {"private_addresses": "allow"}
        context = given(connection=Connection("shop", "http", self.address, Secret("t"), options))
        context.http = OutgoingClient()
        try:
            return await answer(module, parameters, context)
        finally:
            await context.http.close()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"
    yield made
    await runner.cleanup()


def test_each_operation_is_a_module_and_what_is_not_is_told() -> None:
    assert {module.name: module.effect for module in CATALOG} == {
        "shop.list-orders": "idempotent",
        "shop.create-order": "at-least-once",
        "shop.get-orders-order-id": "idempotent",
        "shop.orders-cancel": "idempotent",
        "shop.add-note": "at-least-once",
    }
    assert FOUND.left_out == {
        "POST /files": "it takes no JSON and no form, but multipart/form-data",
        "GET /broken/{id}": "the parameters of its path are not those that it declares",
    }
    assert (FOUND.title, FOUND.server) == ("Shop API", "https://shop.example/api/v1")


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("create-order", {}, "the parameter `body` is missing"),
        ("get-orders-order-id", {}, "the parameter `order-id` is missing"),
        ("get-orders-order-id", {"order": 1}, 'unknown parameter "order"'),
        ("list-orders", {"status": ["sold"]}, "sold"),
        ("list-orders", {"page[size]": []}, "`page[size]`"),
    ],
)
def test_wrong_parameters_are_found_by_the_check(
    name: str, parameters: dict[str, Any], problem: str
) -> None:
    entry = CATALOG.find(f"shop.{name}")
    assert entry is not None
    assert any(problem in one.message for one in entry.check(parameters, ()))


def test_examples_of_imported_modules_pass_the_check() -> None:
    for module in CATALOG:
        entry = CATALOG.find(module.name)
        assert entry is not None
        assert entry.check(module.examples[0].config, ()) == []


async def test_parameters_go_where_the_document_has_them(shop: Shop) -> None:
    parameters = {"status": ["new", "paid"], "ids": [1, 2], "page[size]": 5, "X-Trace-Id": "abc"}
    found = await shop.call("list-orders", **parameters)
    assert (found["status"], found["body"]) == (200, {"ok": True})
    method, path, headers, _ = shop.asked[0]
    assert method == "GET"
    assert path == "/api/v1/orders?status=new&status=paid&ids=1,2&page%5Bsize%5D=5"
    assert headers["X-Trace-Id"] == "abc"
    assert headers["Authorization"] == "Bearer t"


async def test_a_value_of_a_path_stays_one_part_of_it(shop: Shop) -> None:
    await shop.call("get-orders-order-id", **{"order-id": "4/2?a=b#c{order-id}"})
    assert shop.asked[0][1] == "/api/v1/orders/4%2F2%3Fa=b%23c%7Border-id%7D"
    for hostile in ("..", ".", ""):
        outcome = await shop.call("get-orders-order-id", **{"order-id": hostile})
        assert isinstance(outcome, Reject), hostile
    assert len(shop.asked) == 1


async def test_bodies_are_sent_as_json_and_as_a_form(shop: Shop) -> None:
    await shop.call("create-order", body=ORDER)
    await shop.call("add-note", **{"order-id": 7, "body": {"text": "a&b"}})
    (_, _, first, order), (_, path, second, note) = shop.asked
    assert first["Content-Type"] == "application/json"
    assert json.loads(order) == ORDER
    assert first["Idempotency-Key"] == given().key
    assert (path, note) == ("/api/v1/orders/7/notes", "text=a%26b")
    assert second["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phone": 1}, "body.phone"),
        ({"items": [{}]}, "body.items.0"),
        ({"items": [{"sku": "x", "price": 0}]}, "body.items.0.price"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_body_that_does_not_fit_is_not_sent(
    shop: Shop, change: dict[str, Any], reason: str
) -> None:
    outcome = await shop.call("create-order", body={**ORDER, **change})
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason
    assert shop.asked == []


async def test_answers_are_sorted_as_those_of_http_request(shop: Shop) -> None:
    for status, kind in ((404, Reject), (503, Retry), (429, Retry)):
        shop.status = status
        assert isinstance(await shop.call("orders-cancel", **{"order-id": 1}), kind)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "no OpenAPI document of version 3"),
        ({"swagger": "2.0", "paths": {}}, "no OpenAPI document of version 3"),
        ({"openapi": "3.1.0", "paths": {}}, "has no `paths`"),
        ({"openapi": "3.1.0", "paths": {"/a": {"$ref": "other.yaml"}}}, "leads out of"),
        ({"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/b"}}}, "leads to nothing"),
        ({"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/paths/~1a"}}}, "leads to itself"),
    ],
)
def test_documents_that_cannot_be_read(document: Any, reason: str) -> None:
    with pytest.raises(BadDocument, match=reason):
        read_operations(document)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "127.0.0.1"),
        ({"type": "nothing"}, "nothing"),
        ({"pattern": "("}, "regex"),
    ],
)
def test_a_schema_that_is_wrong_or_elsewhere_is_refused(
    schema: dict[str, Any], reason: str
) -> None:
    content = {"application/json": {"schema": {"properties": {"a": schema}}}}
    operation = {"operationId": "x", "requestBody": {"content": content}}
    document = {"openapi": "3.1.0", "paths": {"/a": {"post": operation}}}
    with pytest.raises(BadDocument, match=reason):
        built(document, read_operations(document), "shop")


async def test_what_is_refused_does_not_stand_in_the_reason(shop: Shop) -> None:
    outcome = await shop.call("create-order", body={**ORDER, "items": "a secret"})
    assert isinstance(outcome, Reject)
    assert "a secret" not in outcome.reason


def test_a_home_finds_what_was_imported(tmp_path: Path) -> None:
    (tmp_path / "shop.openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    (tmp_path / "shop.py").write_text(
        "from pathlib import Path\n"
        "from beltline.modules.openapi import modules_of\n"
        'modules = modules_of(Path(__file__).with_suffix(".openapi.json"), "shop")\n',
        encoding="utf-8",
    )
    found = of_home(tmp_path)
    assert found.failures == ()
    assert len(found.modules) == 5
