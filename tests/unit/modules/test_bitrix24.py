"""The Bitrix24 modules: what they call, and what the portal's answers become."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules.bitrix24.add_comment import AddCommentConfig, add_comment
from beltline.modules.bitrix24.add_contact import AddContactConfig, add_contact
from beltline.modules.bitrix24.add_lead import AddLeadConfig, AddLeadOutput, add_lead
from beltline.modules.bitrix24.call import CallConfig, CallOutput, call_method
from beltline.modules.bitrix24.find_contact import FindContactConfig, find_contact
from beltline.modules.bitrix24.find_deal import FindDealConfig, find_deal
from beltline.modules.bitrix24.get_deal import GetDealConfig, get_deal
from beltline.modules.bitrix24.update_deal import UpdateDealConfig, update_deal
from beltline.sdk import Connection, HttpFailed, HttpResponse, Reject, Retry, Secret
from tests.unit.modules.fakes import CRM, KEY, PreparedHttp, answered, context, portal, rest_method

# Finding


async def test_the_oldest_contact_with_the_phone_is_given_with_its_fields() -> None:
    http = PreparedHttp(portal({"CONTACT": [2297, 275]}), portal({"ID": "275", "NAME": "Anna"}))
    found = await find_contact(FindContactConfig(phone=79161234567), context(http, connection=CRM))
    assert found == {"ID": "275", "NAME": "Anna"}
    assert [rest_method(sent) for sent in http.sent] == [
        "crm.duplicate.findbycomm",
        "crm.contact.get",
    ]
    assert http.sent[0].json == {
        "type": "PHONE",
        "values": ["79161234567"],
        "entity_type": "CONTACT",
    }
    assert http.sent[1].json == {"id": 275}


async def test_the_mail_is_asked_for_where_no_contact_has_the_phone() -> None:
    http = PreparedHttp(portal([]), portal({"CONTACT": [7]}), portal({"ID": "7"}))
    config = FindContactConfig(phone="79161234567", email="anna@site.example")
    assert await find_contact(config, context(http, connection=CRM)) == {"ID": "7"}
    assert [sent.json.get("type") for sent in http.sent] == ["PHONE", "EMAIL", None]


@pytest.mark.parametrize("nothing", [[], {}, {"LEAD": [1]}, {"CONTACT": []}])
async def test_no_contact_has_an_empty_id(nothing: Any) -> None:
    http = PreparedHttp(portal(nothing))
    found = await find_contact(
        FindContactConfig(email="a@b.example"), context(http, connection=CRM)
    )
    assert found == {"ID": ""}


@pytest.mark.parametrize("config", [{}, {"phone": ""}, {"phone": " ", "email": ""}])
async def test_a_contact_is_not_looked_for_by_nothing(config: dict[str, Any]) -> None:
    http = PreparedHttp()
    outcome = await find_contact(FindContactConfig(**config), context(http, connection=CRM))
    assert isinstance(outcome, Reject)


async def test_the_newest_open_deal_of_the_contact() -> None:
    http = PreparedHttp(portal([{"ID": "41"}, {"ID": "40"}], total=2))
    config = FindDealConfig(contact="84", filter={"CATEGORY_ID": 0, "CLOSED": "Y"})
    assert (await find_deal(config, context(http, connection=CRM))).value == "41"  # type: ignore[union-attr]
    assert http.sent[0].json == {
        "filter": {"CATEGORY_ID": 0, "CLOSED": "N", "CONTACT_ID": 84},
        "order": {"ID": "DESC"},
        "select": ["ID"],
    }


async def test_no_deal_is_an_empty_value() -> None:
    http = PreparedHttp(portal([], total=0))
    assert (await find_deal(FindDealConfig(contact=84), context(http, connection=CRM))).value == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("contact", [None, "", "  "])
async def test_no_contact_has_no_deal_and_asks_nobody(contact: str | None) -> None:
    http = PreparedHttp()
    assert (await find_deal(FindDealConfig(contact=contact), context(http))).value == ""  # type: ignore[union-attr]
    assert http.sent == []


async def test_a_deal_by_its_id() -> None:
    http = PreparedHttp(portal({"ID": "410", "TITLE": "Deal"}))
    deal = await get_deal(GetDealConfig(id="410"), context(http, connection=CRM))
    assert deal == {"ID": "410", "TITLE": "Deal"}
    assert http.sent[0].json == {"id": 410}


@pytest.mark.parametrize("id", ["", "0", "-1", "1.5", "x", "²", "1 OR 1", 0, -5])
async def test_what_is_no_id_is_not_sent(id: str | int) -> None:
    http = PreparedHttp()
    outcome = await get_deal(GetDealConfig(id=id), context(http, connection=CRM))
    assert isinstance(outcome, Reject)
    assert "`id`" in outcome.reason
    assert http.sent == []


# Adding and changing


async def test_a_lead_carries_the_key_of_its_visit() -> None:
    http = PreparedHttp(portal(77))
    config = AddLeadConfig(
        title="Call", name="Anna", phone=79161234567, email="a@b.example", contact="84",
        fields={"SOURCE_ID": "WEB", "TITLE": "Own"},
    )  # fmt: skip
    added = await add_lead(config, context(http, connection=CRM))
    assert added == AddLeadOutput(ID="77", repeated=False)
    assert rest_method(http.sent[0]) == "crm.lead.add"
    assert http.sent[0].json == {
        "fields": {
            "TITLE": "Own",
            "NAME": "Anna",
            "CONTACT_ID": 84,
            "PHONE": [{"VALUE": "79161234567", "VALUE_TYPE": "WORK"}],
            "EMAIL": [{"VALUE": "a@b.example", "VALUE_TYPE": "WORK"}],
            "SOURCE_ID": "WEB",
            "ORIGINATOR_ID": "beltline",
            "ORIGIN_ID": KEY,
        }
    }


async def test_a_repeated_attempt_finds_the_lead_of_the_first() -> None:
    http = PreparedHttp(portal([{"ID": "77"}]))
    added = await add_lead(AddLeadConfig(title="Call"), context(http, connection=CRM, attempt=2))
    assert added == AddLeadOutput(ID="77", repeated=True)
    assert [rest_method(sent) for sent in http.sent] == ["crm.lead.list"]
    assert http.sent[0].json["filter"] == {"=ORIGINATOR_ID": "beltline", "=ORIGIN_ID": KEY}


async def test_a_repeated_attempt_adds_the_lead_that_the_first_did_not() -> None:
    http = PreparedHttp(portal([]), portal(78))
    added = await add_lead(AddLeadConfig(title="Call"), context(http, connection=CRM, attempt=2))
    assert added == AddLeadOutput(ID="78", repeated=False)


async def test_an_origin_of_the_authors_own_is_kept() -> None:
    http = PreparedHttp(portal([]), portal(78))
    config = AddLeadConfig(fields={"ORIGIN_ID": "site-7"})
    await add_lead(config, context(http, connection=CRM, attempt=2))
    assert http.sent[0].json["filter"] == {"=ORIGIN_ID": "site-7"}
    assert http.sent[1].json == {"fields": {"ORIGIN_ID": "site-7"}}


async def test_a_lead_without_fields_is_refused() -> None:
    outcome = await add_lead(AddLeadConfig(phone="", contact=""), context(connection=CRM))
    assert isinstance(outcome, Reject)


async def test_a_contact_goes_by_the_newer_methods() -> None:
    http = PreparedHttp(portal({"item": {"id": 43}}))
    config = AddContactConfig(
        name="Anna", phone="79161234567",
        fields={
            "ASSIGNED_BY_ID": 1,
            "UF_CRM_1720697698689": "x",
            "PARENT_ID_1224": 12,
            "EMAIL": [{"VALUE": "a@b.example", "VALUE_TYPE": "HOME"}, "c@d.example"],
        },
    )  # fmt: skip
    added = await add_contact(config, context(http, connection=CRM))
    assert (added.ID, added.repeated) == ("43", False)  # type: ignore[union-attr]
    assert http.sent[0].json == {
        "entityTypeId": 3,
        "useOriginalUfNames": "Y",
        "fields": {
            "name": "Anna",
            "assignedById": 1,
            "UF_CRM_1720697698689": "x",
            "parentId1224": 12,
            "originatorId": "beltline",
            "originId": KEY,
            "fm": [
                {"typeId": "PHONE", "valueType": "WORK", "value": "79161234567"},
                {"typeId": "EMAIL", "valueType": "HOME", "value": "a@b.example"},
                {"typeId": "EMAIL", "valueType": "WORK", "value": "c@d.example"},
            ],
        },
    }


async def test_a_repeated_attempt_finds_the_contact_of_the_first() -> None:
    http = PreparedHttp(portal({"items": [{"id": 43}]}))
    added = await add_contact(
        AddContactConfig(name="Anna"), context(http, connection=CRM, attempt=3)
    )
    assert (added.ID, added.repeated) == ("43", True)  # type: ignore[union-attr]
    assert http.sent[0].json["filter"] == {"=originatorId": "beltline", "=originId": KEY}


async def test_a_deal_is_changed() -> None:
    http = PreparedHttp(portal(True))
    config = UpdateDealConfig(id="410", fields={"STAGE_ID": "WON"})
    assert (await update_deal(config, context(http, connection=CRM))).ID == "410"  # type: ignore[union-attr]
    assert http.sent[0].json == {"id": 410, "fields": {"STAGE_ID": "WON"}}
    nothing = await update_deal(UpdateDealConfig(id="410", fields={}), context(connection=CRM))
    assert isinstance(nothing, Reject)


async def test_a_comment_is_added() -> None:
    http = PreparedHttp(portal(999))
    config = AddCommentConfig(id=410, comment="Called.")
    assert (await add_comment(config, context(http, connection=CRM))).ID == "999"  # type: ignore[union-attr]
    assert http.sent[0].json == {
        "fields": {"ENTITY_ID": 410, "ENTITY_TYPE": "deal", "COMMENT": "Called."}
    }


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


async def called(answer: HttpResponse | HttpFailed, connection: Connection | None = CRM) -> Any:
    given = context(PreparedHttp(answer), connection=connection)
    return await get_deal(GetDealConfig(id=1), given)


async def test_the_address_is_made_of_connection_secret_and_method() -> None:
    http = PreparedHttp(portal({}))
    await get_deal(GetDealConfig(id=1), context(http, connection=CRM))
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
    outcome = await get_deal(GetDealConfig(id=1), given)
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
    for answer in (refusal(403, "INVALID_CREDENTIALS"), answered(500, b""), HttpFailed("broken")):
        assert "w3bh00k" not in (await called(answer)).reason
