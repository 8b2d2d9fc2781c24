"""Calls of the Bitrix24 REST API: how they are made, and what the portal's answers become."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules.bitrix24 import get
from beltline.modules.bitrix24.call import CallConfig, CallOutput, call_method
from beltline.sdk import Connection, HttpFailed, HttpResponse, Reject, Retry, Secret
from beltline.sdk.testing import answer
from tests.unit.modules.fakes import CRM, PreparedHttp, answered, context, portal


async def test_any_method_with_its_whole_answer() -> None:
    http = PreparedHttp(portal([{"id": 1}], total=51, next=50))
    config = CallConfig(method="crm.item.list", params={"entityTypeId": 1})
    called = await call_method(config, context(http, connection=CRM))
    assert called == CallOutput(result=[{"id": 1}], total=51, next=50)
    assert http.sent[0].json == {"entityTypeId": 1}


async def test_a_batch_whose_command_failed_is_refused() -> None:
    error = {"error": "", "error_description": "Not found"}
    failed = {"result": {"a": 1}, "result_error": {"b": error}}
    sound = {"result": {"a": 1}, "result_error": []}
    http = PreparedHttp(portal(failed), portal(sound))
    given = context(http, connection=CRM)
    outcome = await call_method(CallConfig(method="batch", params={"cmd": {}}), given)
    assert outcome == Reject("batch: 1 of the commands failed: b: Not found")
    assert isinstance(await call_method(CallConfig(method="batch"), given), CallOutput)


# The call itself


async def called(sent: HttpResponse | HttpFailed, connection: Connection | None = CRM) -> Any:
    given = context(PreparedHttp(sent), connection=connection)
    return await answer(get.deal, {"id": 1}, given)


async def test_the_address_is_made_of_connection_secret_and_method() -> None:
    http = PreparedHttp(portal({}))
    await answer(get.deal, {"id": 1}, context(http, connection=CRM))
    sent = http.sent[0]
    assert (sent.method, sent.url) == (
        "POST",
        "https://portal.example/rest/1/w3bh00k/crm.deal.get.json",
    )
    assert sent.connection is CRM
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "connection",
    [
        None,
        Connection(name="crm", kind="bitrix24", secret=Secret("w3bh00k")),
        Connection(name="crm", kind="bitrix24", address=CRM.address),
        Connection(name="crm", kind="bitrix24", address=CRM.address, secret=Secret("")),
        Connection(
            name="crm",
            kind="bitrix24",
            address=CRM.address,
            secret=Secret("https://portal.example/rest/1/w3bh00k/"),
        ),
    ],
)
async def test_a_connection_that_is_not_whole_is_told(connection: Connection | None) -> None:
    given = context(PreparedHttp(), connection=connection)
    outcome = await answer(get.deal, {"id": 1}, given)
    assert isinstance(outcome, Reject)
    assert "connection" in outcome.reason
    assert "w3bh00k" not in outcome.reason


async def test_the_method_of_a_call_cannot_leave_the_address() -> None:
    for method in ("../../../admin", "crm.deal.get?x=", "crm/deal", "crm.deal.get\n", ""):
        given = context(PreparedHttp(), connection=CRM)
        assert isinstance(await call_method(CallConfig(method=method), given), Reject)


def refusal(status: int, code: str, words: str = "", **more: Any) -> HttpResponse:
    return answered(status, {"error": code, "error_description": words, **more})


@pytest.mark.parametrize(
    ("answer", "after_s"),
    [
        (refusal(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"), None),
        (answered(503, {"error": "QUERY_LIMIT_EXCEEDED"}, retry_after="3"), 3),
        (refusal(200, "QUERY_LIMIT_EXCEEDED"), None),
        (refusal(500, "INTERNAL_SERVER_ERROR"), None),
        (answered(502, b"<html>"), None),
        (answered(429, b""), None),
        (answered(200, b"<html>maintenance</html>"), None),
        (refusal(429, "OPERATION_TIME_LIMIT"), 60),
        (answered(429, {"error": "OPERATION_TIME_LIMIT"}, retry_after="120"), 120),
        (
            refusal(
                429,
                "OPERATION_TIME_LIMIT",
                time={"start": 1_000.0, "finish": 1_000.5, "operating_reset_at": 1_200},
            ),
            199.5,
        ),
        (
            refusal(
                429, "OPERATION_TIME_LIMIT", time={"start": 1_000.0, "operating_reset_at": 900}
            ),
            1,
        ),
        (HttpFailed("the connection broke"), None),
    ],
)
async def test_what_the_portal_cannot_do_now_is_tried_again(
    answer: HttpResponse | HttpFailed, after_s: float | None
) -> None:
    outcome = await called(answer)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s
    assert outcome.reason.startswith("crm.deal.get: ")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "NO_AUTH_FOUND", "Wrong authorization data"),
        (401, "expired_token", "The access token provided has expired"),
        (403, "insufficient_scope", "The request requires higher privileges"),
        (403, "ACCESS_DENIED", "Access denied"),
        (403, "INVALID_CREDENTIALS", "Invalid request credentials"),
        (400, "INVALID_REQUEST", "Https required"),
        (400, "", "Not found"),
        (404, "ERROR_METHOD_NOT_FOUND", "Method not found!"),
        (200, "100", "Could not find value for parameter {id}"),
    ],
)
async def test_what_a_person_must_mend_ends_the_visit_in_the_portals_words(
    status: int, code: str, words: str
) -> None:
    outcome = await called(refusal(status, code, words))
    said = f"{code} {words}".strip()
    assert outcome == Reject(f"crm.deal.get: {said} (status {status})")


async def test_a_refused_address_ends_the_visit() -> None:
    assert await called(HttpFailed("private", permanent=True)) == Reject("crm.deal.get: private")


async def test_a_redirect_is_no_answer() -> None:
    assert isinstance(await called(HttpResponse(302, {"location": "/"}, b"")), Reject)


async def test_no_outcome_repeats_the_secret() -> None:
    for sent in (refusal(403, "INVALID_CREDENTIALS"), answered(500, b""), HttpFailed("broken")):
        assert "w3bh00k" not in (await called(sent)).reason
