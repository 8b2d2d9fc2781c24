"""`batch`: references between commands, halting, lengths and the shapes of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.bitrix24_portal.stand import Stand, make_stand


async def _batch(stand: Stand, cmd: object, halt: object = 0) -> dict[str, Any]:
    result: dict[str, Any] = await stand.result("batch", {"halt": halt, "cmd": cmd})
    return result


async def test_a_command_uses_the_results_before_it(stand: Stand) -> None:
    parts = await _batch(
        stand,
        {
            "who": "crm.contact.add?fields[NAME]=Иван&fields[PHONE][0][VALUE]=%2B79123456789",
            "deal": "crm.deal.add?fields[TITLE]=Для $result[who]&fields[CONTACT_ID]=$result[who]",
            "deals": "crm.deal.list?filter%5BCONTACT_ID%5D=%24result%5Bwho%5D",
            "again": "crm.contact.get?id=$result[deals][0][CONTACT_ID]",
            "item": "crm.item.get?entityTypeId=2&id=$result[deal]",
            "by_item": "crm.contact.get?id=$result[item][item][contactIds][0]",
        },
    )
    assert parts["result_error"] == []
    assert parts["result"]["deals"][0]["TITLE"] == "Для 1"
    assert parts["result"]["again"]["NAME"] == parts["result"]["by_item"]["NAME"] == "Иван"
    assert parts["result_total"] == {"deals": 1}
    assert parts["result_next"] == []
    assert set(parts["result_time"]) == set(parts["result"])


async def test_empty_parts_are_lists_and_a_reference_to_nothing_is_a_missing_parameter(
    stand: Stand,
) -> None:
    parts = await _batch(stand, {"a": "crm.lead.get?id=$result[no][such]"})
    assert parts == {
        "result": [],
        "result_error": {"a": {"error": "", "error_description": "ID is not defined or invalid."}},
        "result_total": [],
        "result_next": [],
        "result_time": [],
    }


async def test_halt_stops_at_the_first_error(stand: Stand) -> None:
    cmd = {"a": "crm.lead.get?id=9", "b": "crm.lead.add?fields[TITLE]=Т"}
    halted = await _batch(stand, cmd, halt=1)
    assert (halted["result"], list(halted["result_error"])) == ([], ["a"])
    went_on = await _batch(stand, cmd)
    assert went_on["result"] == {"b": 1}
    assert went_on["result_error"]["a"]["error_description"] == "Not found"


async def test_commands_without_names_answer_with_lists(stand: Stand) -> None:
    parts = await _batch(stand, ["crm.lead.add", "crm.lead.get?id=$result[0]"])
    assert parts["result"][0] == 1
    assert parts["result"][1]["ID"] == "1"


async def test_a_form_may_carry_a_batch(stand: Stand) -> None:
    reply = await stand.ask_form(
        "batch.json",
        [("halt", "0"), ("cmd[a]", "crm.lead.add?fields%5BTITLE%5D=%D0%9B%D0%B8%D0%B4+1")],
    )
    assert reply.body["result"]["result"] == {"a": 1}
    assert (await stand.result("crm.lead.get", {"id": 1}))["TITLE"] == "Лид 1"


async def test_a_batch_in_a_batch_and_an_unknown_method_are_errors_inside(stand: Stand) -> None:
    parts = await _batch(stand, {"a": "batch?cmd[b]=user.current", "c": "no.such", "d": 5})
    codes = {key: one["error"] for key, one in parts["result_error"].items()}
    assert codes == {
        "a": "ERROR_BATCH_METHOD_NOT_ALLOWED",
        "c": "ERROR_METHOD_NOT_FOUND",
        "d": "ERROR_BATCH_COMMAND",
    }


async def test_the_fifty_first_command_is_too_many(stand: Stand) -> None:
    parts = await _batch(stand, {f"c{n}": "crm.lead.add" for n in range(52)})
    assert len(parts["result"]) == 50
    assert {key: one["error"] for key, one in parts["result_error"].items()} == {
        "c50": "ERROR_BATCH_LENGTH_EXCEEDED",
        "c51": "ERROR_BATCH_LENGTH_EXCEEDED",
    }


async def test_a_batch_without_commands_is_refused(stand: Stand) -> None:
    assert (await stand.refusal("batch", {"cmd": "crm.lead.add"}))[0] == 400


async def test_one_batch_is_one_hit(tmp_path: Any) -> None:
    stand = make_stand(tmp_path / "p.db", rate_per_s=1.0, burst=2)
    for _ in range(2):
        await _batch(stand, ["user.current"] * 50)
    assert (await stand.ask("batch", {"cmd": []})).status == 503
    stand.portal.close()


async def test_each_command_stands_in_the_ledger_under_its_batch(stand: Stand) -> None:
    await _batch(stand, {"a": "crm.lead.add?fields[TITLE]=Т", "b": "crm.lead.get?id=7"})
    batch, add, get = stand.portal.ledger()
    assert (batch["method"], batch["batch"]) == ("batch", None)
    assert (add["method"], add["batch"], add["params"]) == (
        "crm.lead.add",
        batch["id"],
        {"fields": {"TITLE": "Т"}},
    )
    assert (get["status"], get["error"]) == (400, "Not found")


@pytest.mark.parametrize("path", ["[a][__class__]", "[a][0][0][0]", "[a][99999999999999999999]"])
async def test_a_reference_leads_nowhere_quietly(stand: Stand, path: str) -> None:
    parts = await _batch(
        stand, {"a": "crm.lead.list", "b": f"crm.lead.add?fields[TITLE]=x$result{path}"}
    )
    assert parts["result_error"] == []
    assert (await stand.result("crm.lead.get", {"id": 1}))["TITLE"] == "x"
