"""Tasks of the stand-in: written in capitals, read in camel case, found by what they are about."""

from __future__ import annotations

import pytest

from tests.integration.bitrix24_portal.stand import Stand


async def test_a_task_is_added_changed_and_read(stand: Stand) -> None:
    fields = {
        "TITLE": "Позвонить",
        "RESPONSIBLE_ID": 2,
        "DEADLINE": "2026-12-01T18:00:00+03:00",
        "UF_CRM_TASK": ["D_1", "C_7"],
    }
    added = (await stand.result("tasks.task.add", {"fields": fields}))["task"]
    assert (added["title"], added["responsibleId"], added["status"]) == ("Позвонить", "2", "2")
    assert added["ufCrmTask"] == ["D_1", "C_7"]
    assert (added["creator"]["name"], added["responsible"]["id"]) == ("Анна Волкова", "2")
    change = {"taskId": added["id"], "fields": {"STATUS": 5, "GUID": "x"}}
    changed = (await stand.result("tasks.task.update", change))["task"]
    assert (changed["status"], changed["guid"]) == ("5", added["guid"])
    read = await stand.result("tasks.task.get", {"taskId": added["id"]})
    assert read == {"task": changed}
    assert await stand.result("tasks.task.get", {"taskId": 404}) == []


async def test_the_newest_task_comes_first_and_an_outside_key_finds_one(stand: Stand) -> None:
    for number in range(3):
        fields = {"TITLE": str(number), "RESPONSIBLE_ID": 1, "XML_ID": f"key-{number}"}
        await stand.result("tasks.task.add", {"fields": fields})
    tasks = (await stand.result("tasks.task.list", {}))["tasks"]
    assert [task["title"] for task in tasks] == ["2", "1", "0"]
    one = (await stand.result("tasks.task.list", {"filter": {"XML_ID": "key-1"}}))["tasks"]
    assert [task["title"] for task in one] == ["1"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks.task.add", {"fields": {"RESPONSIBLE_ID": 1}}),
        ("tasks.task.add", {"fields": {"TITLE": "x"}}),
        ("tasks.task.add", {"fields": {"TITLE": "x", "RESPONSIBLE_ID": 99}}),
        ("tasks.task.add", {"fields": {"TITLE": "x", "RESPONSIBLE_ID": 1, "CREATED_BY": 99}}),
        ("tasks.task.add", {"fields": {"TITLE": "x", "RESPONSIBLE_ID": 1, "DEADLINE": "soon"}}),
        ("tasks.task.update", {"taskId": 404, "fields": {"TITLE": "x"}}),
    ],
)
async def test_what_is_no_task_is_refused(
    stand: Stand, method: str, params: dict[str, object]
) -> None:
    status, code, description = await stand.refusal(method, params)
    assert (status, code) == (400, "ERROR_CORE")
    assert description
    assert (await stand.result("tasks.task.list", {}))["tasks"] == []
