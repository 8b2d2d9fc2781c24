"""Addresses, bodies and refusals: who may call, how parameters come in, how errors look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitrix24_portal.php_forms import read_form
from tests.integration.bitrix24_portal.stand import Stand, make_stand


@pytest.mark.parametrize(
    ("root", "status", "code"),
    [
        ("/rest", 401, "NO_AUTH_FOUND"),
        ("/rest/1", 401, "NO_AUTH_FOUND"),
        ("/rest/1/wrong", 403, "INVALID_CREDENTIALS"),
        ("/rest/2/local", 403, "INVALID_CREDENTIALS"),
        ("/rest/1/ключ", 403, "INVALID_CREDENTIALS"),
    ],
)
async def test_only_the_user_with_the_code_may_call(
    stand: Stand, root: str, status: int, code: str
) -> None:
    stranger = replace(stand, root=root)
    assert (await stranger.refusal("crm.lead.add"))[:2] == (status, code)
    assert (await stand.call("crm.lead.list"))["total"] == 0
    assert stand.portal.ledger()[0]["error"] == code


@pytest.mark.parametrize("entity", ["lead", "deal", "contact", "company"])
@pytest.mark.parametrize("operation", ["get", "update", "delete"])
async def test_the_older_methods_say_not_found_with_an_empty_code(
    stand: Stand, entity: str, operation: str
) -> None:
    params = {"id": 99, "fields": {"TITLE": "Т"}}
    told = await stand.refusal(f"crm.{entity}.{operation}", params)
    assert told == (400, "", "Not found")


@pytest.mark.parametrize("id", [0, -1, "abc", None, [1], "1; DROP TABLE lead"])
async def test_an_id_that_is_none_is_refused(stand: Stand, id: object) -> None:
    told = await stand.refusal("crm.lead.get", {"id": id})
    assert told == (400, "", "ID is not defined or invalid.")


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("crm.item.get", {"entityTypeId": 2, "id": 99}, "NOT_FOUND"),
        ("crm.item.delete", {"entityTypeId": 2, "id": 99}, "NOT_FOUND"),
        ("crm.item.get", {"entityTypeId": 31, "id": 1}, "ENTITY_TYPE_NOT_SUPPORTED"),
        ("crm.item.get", {"entityTypeId": 2}, "100"),
        ("crm.item.get", {"entitytypeid": 2, "id": 1}, "100"),
        ("crm.item.get", {"entityTypeId": "two", "id": 1}, "INVALID_ARG_VALUE"),
        ("crm.category.get", {"entityTypeId": 2, "id": 99}, "NOT_FOUND"),
        ("crm.category.delete", {"entityTypeId": 2, "id": 0}, "CATEGORY_DEFAULT_DELETE"),
        ("crm.timeline.comment.add", {"fields": {"ENTITY_TYPE": "deal"}}, "OWNER_NOT_FOUND"),
        ("im.message.add", {"DIALOG_ID": "chat1", "MESSAGE": "  "}, "MESSAGE_EMPTY"),
        ("im.notify", {"USER_ID": 77, "MESSAGE": "х"}, "USER_ID_EMPTY"),
    ],
)
async def test_the_newer_methods_name_their_errors(
    stand: Stand, method: str, params: dict[str, Any], code: str
) -> None:
    assert (await stand.refusal(method, params))[:2] == (400, code)


async def test_an_unknown_method_is_404(stand: Stand) -> None:
    told = await stand.refusal("crm.lead.explode")
    assert told == (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"--x", "multipart/form-data; boundary=x", 400),
        (b"a" * 1_001, "application/json", 413),
        (b"a" + b"[a]" * 40 + b"=1", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    tmp_path: Path, body: bytes, kind: str, status: int
) -> None:
    stand = make_stand(tmp_path / "p.db", body_bytes=200_000 if body[:1] == b"[" else 1_000)
    path = "/rest/1/local/crm.lead.add"
    reply = await stand.send("POST", path, body, {"content-type": kind})
    assert reply.status == status
    assert reply.body["error"] == "INVALID_REQUEST"
    stand.portal.close()


async def test_get_json_and_forms_mean_the_same(stand: Stand) -> None:
    query = "fields%5BTITLE%5D=%D0%97&fields[PHONE][0][VALUE]=%2B7+1&fields[PHONE][][VALUE]=2"
    await stand.send("GET", f"{stand.root}/crm.lead.add.json?{query}")
    pairs = [
        ("fields[TITLE]", "З"),
        ("fields[PHONE][n0][VALUE]", "+7 1"),
        ("fields[PHONE][n1][VALUE]", "2"),
    ]
    await stand.ask_form("CRM.Lead.Add", pairs)
    await stand.add("lead", TITLE="З", PHONE=[{"VALUE": "+7 1"}, {"VALUE": "2"}])
    rows = [await stand.result("crm.lead.get", {"ID": id}) for id in (1, 2, 3)]
    assert [row["TITLE"] for row in rows] == ["З"] * 3
    assert [[one["VALUE"] for one in row["PHONE"]] for row in rows] == [["+7 1", "2"]] * 3


async def test_the_body_stands_over_the_query(stand: Stand) -> None:
    query = f"{stand.root}/crm.lead.list?start=-1&select[]=ID"
    kind = {"content-type": "application/json"}
    reply = await stand.send("POST", query, b'{"select": ["TITLE"]}', kind)
    assert "total" not in reply.body
    await stand.add("lead", TITLE="Т")
    reply = await stand.send("POST", query, b'{"select": ["TITLE"]}', kind)
    assert reply.body["result"] == [{"ID": "1", "TITLE": "Т"}]


async def test_other_verbs_are_refused(stand: Stand) -> None:
    assert (await stand.send("PUT", f"{stand.root}/crm.lead.add")).status == 400


def test_forms_nest_as_php_nests_them() -> None:
    assert read_form("a=1&a=2&b[]=x&b[]=y&c[k][0]=z&d[k=v&e[=1") == {
        "a": "2",
        "b": {"0": "x", "1": "y"},
        "c": {"k": {"0": "z"}},
        "d": "v",
        "e": "1",
    }


async def test_the_portal_tells_its_methods_and_scopes(stand: Stand) -> None:
    methods = await stand.result("methods")
    assert {"batch", "crm.lead.add", "crm.item.list", "methods", "user.current"} <= set(methods)
    assert await stand.result("scope") == ["crm", "im", "task", "user"]
    known = await stand.result("method.get", {"name": "crm.lead.add"})
    assert known == {"isExisting": True, "isAvailable": True}


async def test_the_secret_never_stands_in_the_ledger(stand: Stand) -> None:
    await replace(stand, root="/rest/1/hunter2").ask("crm.lead.add")
    await stand.add("lead")
    told = (await stand.send("GET", "/ledger")).text
    assert "hunter2" not in told
    assert '"local"' not in told


async def test_the_ledger_is_read_on_from_a_place(stand: Stand) -> None:
    for _ in range(3):
        await stand.add("lead", TITLE="Т")
    first = (await stand.send("GET", "/ledger?method=crm.lead.add")).body
    assert [call["params"] for call in first["calls"]] == [{"fields": {"TITLE": "Т"}}] * 3
    rest = (await stand.send("GET", f"/ledger?after={first['calls'][1]['id']}")).body
    assert [call["id"] for call in rest["calls"]] == [3]
    assert (await stand.send("GET", "/ledger?after=3")).body == {"calls": [], "next": None}


async def test_a_mistake_of_the_stand_in_is_a_500_without_its_insides(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("insides")

    monkeypatch.setattr(stand.portal, "context", broken)
    told = await stand.refusal("crm.lead.add")
    assert told == (500, "INTERNAL_SERVER_ERROR", "Internal server error")
    assert "insides" in caplog.text
