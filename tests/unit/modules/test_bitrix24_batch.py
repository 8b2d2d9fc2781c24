"""Calls of single REST methods that go to the portal as one batch."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules.bitrix24 import get
from beltline.modules.bitrix24.add_lead import ADDING, AddLeadConfig
from beltline.modules.bitrix24.find_deal import METHOD as FIND
from beltline.modules.bitrix24.find_deal import FindDealConfig, FindDealOutput
from beltline.modules.bitrix24.get import GetConfig
from beltline.modules.bitrix24.origin import AddedOutput
from beltline.modules.bitrix24.single import Asked, command
from beltline.sdk import HttpFailed, Reject, Retry
from beltline.sdk.bitrix24 import OPERATING_WAIT_S
from tests.unit.modules.fakes import CRM, PreparedHttp, context, portal, rest_method


def answer(result: Any = None, errors: Any = None) -> Any:
    """The answer to a batch, with its empty parts as PHP writes them."""
    parts = {"result": result or [], "result_error": errors or [], "result_total": []}
    return portal({**parts, "result_next": [], "result_time": []})


async def together(calls: list[tuple[GetConfig, Any]]) -> list[Any]:
    """What the calls of `get-deal` answer that went together."""
    assert get.deal.batch is not None
    return await get.deal.batch(calls)


def deals(http: PreparedHttp, *ids: Any) -> list[tuple[GetConfig, Any]]:
    return [(GetConfig(id=id), context(http, connection=CRM)) for id in ids]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "m"),
        ({"id": 5}, "m?id=5"),
        ({"fields": {"TITLE": "a&b=c?", "N": 1.5}}, "m?fields[TITLE]=a%26b%3Dc%3F&fields[N]=1.5"),
        ({"select": ["ID", "NAME"]}, "m?select[0]=ID&select[1]=NAME"),
        ({"filter": {">=ID": 3, "!X": ""}}, "m?filter[%3E%3DID]=3&filter[%21X]="),
        ({"a": None, "b": [], "c": {}, "d": True, "e": False}, "m?a=&b=&c=&d=1&e=0"),
        ({"fm": [{"value": "+7 916"}]}, "m?fm[0][value]=%2B7%20916"),
        ({"x": "Ёж"}, "m?x=%D0%81%D0%B6"),
    ],
)
def test_a_command_is_written_as_php_reads_it(params: dict[str, Any], text: str) -> None:
    assert command(Asked("m", params)) == text


async def test_one_request_answers_every_call() -> None:
    http = PreparedHttp(answer({"c0": {"ID": "1"}, "c2": {"ID": "3"}}, {"c1": {"error": ""}}))
    first, second, third = await together(deals(http, 1, 2, 3))
    assert (first, third) == ({"ID": "1"}, {"ID": "3"})
    assert isinstance(second, Reject)
    [sent] = http.sent
    assert rest_method(sent) == "batch"
    cmd = {"c0": "crm.deal.get?id=1", "c1": "crm.deal.get?id=2", "c2": "crm.deal.get?id=3"}
    assert sent.json == {"halt": 0, "cmd": cmd}


async def test_what_needs_no_call_and_what_cannot_be_asked_stay_out_of_it() -> None:
    http = PreparedHttp(answer({"c1": [{"ID": "7"}]}))
    configs = [FindDealConfig(contact=c) for c in ("", "84", "x")]
    calls = [(config, context(http, connection=CRM)) for config in configs]
    none, found, wrong = await FIND.batch(calls)
    assert none == FindDealOutput(value="")
    assert found == FindDealOutput(value="7")
    assert isinstance(wrong, Reject)
    assert list(http.sent[0].json["cmd"]) == ["c1"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"error": "OPERATION_TIME_LIMIT"}, Retry),
        ({"error": "QUERY_LIMIT_EXCEEDED"}, Retry),
        ({"error": "INTERNAL_SERVER_ERROR", "error_description": "oops"}, Retry),
        ({"error": "", "error_description": "Not found"}, Reject),
        ({"error": "ACCESS_DENIED"}, Reject),
        ("odd", Reject),
    ],
)
async def test_each_command_has_its_own_error(error: Any, outcome: type) -> None:
    http = PreparedHttp(answer({"c0": {"ID": "1"}}, {"c1": error}))
    good, bad = await together(deals(http, 1, 2))
    assert good == {"ID": "1"}
    assert isinstance(bad, outcome)
    if error == {"error": "OPERATION_TIME_LIMIT"}:
        assert isinstance(bad, Retry)
        assert bad.after_s == OPERATING_WAIT_S


async def test_a_command_without_an_answer_is_tried_again() -> None:
    http = PreparedHttp(answer({"c0": {"ID": "1"}}))
    _, lost = await together(deals(http, 1, 2))
    assert isinstance(lost, Retry)


async def test_a_batch_that_fails_fails_for_all_that_were_in_it() -> None:
    http = PreparedHttp(HttpFailed("no connection"))
    assert [type(one) for one in await together(deals(http, 1, 2))] == [Retry, Retry]


async def test_what_people_write_is_never_a_reference_to_another_result() -> None:
    http = PreparedHttp(portal(5), answer({"c1": 6}))
    titles = ["$result[c1]", "plain"]
    calls = [(AddLeadConfig(title=t), context(http, connection=CRM)) for t in titles]
    assert await ADDING.batch(calls) == [
        AddedOutput(ID="5", repeated=False),
        AddedOutput(ID="6", repeated=False),
    ]
    assert [rest_method(sent) for sent in http.sent] == ["crm.lead.add", "batch"]
