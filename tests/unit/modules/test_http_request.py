"""`http-request`: what is sent, and what becomes of each answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.modules.http_request import HttpRequestConfig, HttpRequestOutput, send
from beltline.sdk import Connection, HttpFailed, HttpResponse, Reject, Retry, Secret
from tests.unit.modules.fakes import KEY, PreparedHttp, Sent, answered, context

SHOP = Connection(
    name="shop", kind="http", address="https://shop.example/api/", secret=Secret("t0ken")
)


async def sent(connection: Connection | None = None, **config: Any) -> Sent:
    """The request that the parameters lead to."""
    http = PreparedHttp(answered())
    outcome = await send(_config(config), context(http, connection=connection))
    assert isinstance(outcome, HttpRequestOutput), outcome
    return http.sent[0]


async def outcome_of(answer: HttpResponse | HttpFailed, **config: Any) -> Any:
    return await send(_config(config), context(PreparedHttp(answer)))


def _config(given: dict[str, Any]) -> HttpRequestConfig:
    return msgspec.convert({"url": "https://shop.example/", **given}, HttpRequestConfig)


async def test_json_form_and_text_bodies() -> None:
    as_json = await sent(method="POST", json={"имя": "Анна", "n": 1})
    assert as_json.body == '{"имя":"Анна","n":1}'.encode()
    assert as_json.headers["Content-Type"] == "application/json"
    as_form = await sent(method="POST", form={"a": [1, 2], "b": True, "c": None, "d": "x y&"})
    assert as_form.body == b"a=1&a=2&b=true&d=x+y%26"
    assert as_form.headers["Content-Type"] == "application/x-www-form-urlencoded"
    as_text = await sent(method="PUT", body="<a/>", headers={"content-type": "text/xml"})
    assert as_text.body == b"<a/>"
    assert "Content-Type" not in as_text.headers
    assert (await sent()).body is None


async def test_a_query_is_added_to_the_url() -> None:
    request = await sent(
        url="https://shop.example/a?b=c", query={"d": "é +", "e": [1, 2], "f": None}
    )
    assert request.url == "https://shop.example/a?b=c&d=%C3%A9%20%2B&e=1&e=2"
    assert (await sent(query={"a": False})).url == "https://shop.example/?a=false"


async def test_a_repeated_attempt_can_be_told_by_the_receiver() -> None:
    assert (await sent(method="POST")).headers["Idempotency-Key"] == KEY
    assert "Idempotency-Key" not in (await sent(method="GET")).headers
    given = await sent(method="POST", headers={"idempotency-key": "own"})
    assert given.headers == {"idempotency-key": "own"}


async def test_the_timeout_is_a_length_of_time() -> None:
    assert (await sent(timeout="1m30s")).timeout_s == 90


# Connections


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("orders/7", "https://shop.example/api/orders/7"),
        ("/orders?a=b", "https://shop.example/api/orders?a=b"),
        ("", "https://shop.example/api/"),
        ("https://shop.example/other", "https://shop.example/other"),
        (
            "orders?to=https://x.example/../",
            "https://shop.example/api/orders?to=https://x.example/../",
        ),
    ],
)
async def test_a_connections_address_is_the_base(url: str, whole: str) -> None:
    request = await sent(SHOP, url=url)
    assert request.url == whole
    assert request.connection is SHOP


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://shop.example/",
        "https://shop.example:8443/",
        "https://shop.example@evil.example/",
        "//evil.example/",
        "../admin",
        "a/../../admin",
        "a/%2e%2e/%2E%2e/admin",
        "./x",
    ],
)
async def test_a_connections_secret_does_not_leave_its_address(url: str) -> None:
    http = PreparedHttp()
    outcome = await send(_config({"url": url}), context(http, connection=SHOP))
    assert isinstance(outcome, Reject)
    assert http.sent == []


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({}, "Authorization", "Bearer t0ken"),
        ({"auth": "bearer"}, "Authorization", "Bearer t0ken"),
        ({"auth": "basic"}, "Authorization", "Basic dDBrZW4="),
        ({"auth": "header"}, "X-Api-Key", "t0ken"),
        ({"auth": "header", "header": "X-Token"}, "X-Token", "t0ken"),
    ],
)
async def test_how_the_secret_goes_along(options: dict[str, Any], header: str, value: str) -> None:
    connection = Connection(
        name="shop", kind="http", address=SHOP.address, secret=SHOP.secret, options=options
    )
    assert (await sent(connection, url="a")).headers[header] == value


async def test_a_secret_replaces_a_header_of_the_step_in_any_case() -> None:
    request = await sent(SHOP, url="a", headers={"authorization": "Bearer forged"})
    assert request.headers == {"Authorization": "Bearer t0ken"}


async def test_an_unknown_way_of_the_secret_is_refused() -> None:
    connection = Connection(
        name="shop", kind="http", address=SHOP.address, secret=SHOP.secret, options={"auth": "x"}
    )
    outcome = await send(_config({"url": "a"}), context(PreparedHttp(), connection=connection))
    assert isinstance(outcome, Reject)
    assert "t0ken" not in outcome.reason


# Answers


@pytest.mark.parametrize(
    ("kind", "body", "value", "encoding"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}, "json"),
        ("application/problem+json; charset=utf-8", b"[]", [], "json"),
        ("text/plain", "привет".encode(), "привет", "text"),
        ("application/json", b"", "", "text"),
        ("image/png", b"\x89PNG\xff", "iVBOR/8=", "base64"),
    ],
)
async def test_the_body_of_an_answer(kind: str, body: bytes, value: Any, encoding: str) -> None:
    outcome = await outcome_of(HttpResponse(200, {"content-type": kind}, body))
    assert (outcome.status, outcome.body, outcome.encoding) == (200, value, encoding)


async def test_an_answer_that_only_says_it_is_json_is_refused() -> None:
    outcome = await outcome_of(answered(200, b"<html>"))
    assert isinstance(outcome, Reject)
    assert "<html>" in outcome.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_the_world_can_mend_is_tried_again(status: int) -> None:
    outcome = await outcome_of(answered(status, b"busy", retry_after="7"))
    assert outcome == Retry(f"the answer has the status {status}: busy", after_s=7)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 410, 422])
async def test_what_the_author_can_mend_is_rejected(status: int) -> None:
    outcome = await outcome_of(answered(status, b"no"))
    assert outcome == Reject(f"the answer has the status {status}: no")


@pytest.mark.parametrize(
    ("expect", "status", "completed"),
    [
        ([404], 404, True),
        (["2xx", 404], 204, True),
        (["5xx"], 503, True),
        (["503"], 503, True),
        ([404], 200, False),
    ],
)
async def test_expected_statuses_complete_the_step(
    expect: list[int | str], status: int, completed: bool
) -> None:
    outcome = await outcome_of(answered(status), expect=expect)
    assert isinstance(outcome, HttpRequestOutput) is completed


async def test_a_lost_connection_is_tried_again_and_a_refused_address_is_not() -> None:
    assert await outcome_of(HttpFailed("broken")) == Retry("broken")
    assert await outcome_of(HttpFailed("private", permanent=True)) == Reject("private")


@pytest.mark.parametrize(
    "given",
    [
        {"json": {}, "form": {}},
        {"form": {}, "body": ""},
        {"expect": []},
        {"expect": [99]},
        {"expect": ["6xx"]},
        {"expect": [True]},
        {"timeout": "soon"},
        {"method": "get"},
        {"headers": {"a": 1}},
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        _config(given)


async def test_no_address_at_all_is_refused() -> None:
    outcome = await send(HttpRequestConfig(), context(PreparedHttp()))
    assert isinstance(outcome, Reject)
    assert "url" in outcome.reason
