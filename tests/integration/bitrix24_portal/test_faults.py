"""Faults on demand, and what each leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_portal.stand import Stand, make_stand

JSON = {"content-type": "application/json"}


async def test_an_error_answers_instead_of_working(stand: Stand) -> None:
    stand.faults.order(Fault("error", "crm.lead.add", times=2, status=502, error="BAD_GATEWAY"))
    for _ in range(2):
        assert (await stand.refusal("crm.lead.add"))[:2] == (502, "BAD_GATEWAY")
    assert await stand.result("crm.lead.add") == 1
    assert [call["status"] for call in stand.portal.ledger()] == [502, 502, 200]


async def test_a_fault_waits_for_its_method(stand: Stand) -> None:
    stand.faults.order(Fault("error", "crm.deal.*"))
    assert await stand.result("crm.lead.add") == 1
    assert (await stand.ask("crm.deal.get", {"id": 1})).status == 500


async def test_a_dropped_call_has_not_worked(stand: Stand) -> None:
    stand.faults.order(Fault("drop"))
    with pytest.raises(ConnectionAbortedError):
        await stand.ask("crm.lead.add")
    assert (await stand.call("crm.lead.list"))["total"] == 0


async def test_a_lost_answer_has_worked(stand: Stand) -> None:
    stand.faults.order(Fault("lose-answer", "crm.lead.add"))
    with pytest.raises(ConnectionAbortedError):
        await stand.ask("crm.lead.add")
    assert (await stand.call("crm.lead.list"))["total"] == 1


async def test_a_batch_can_lose_its_answer_in_the_middle(stand: Stand) -> None:
    stand.faults.order(Fault("lose-answer", "crm.deal.add"))
    cmd = {"a": "crm.lead.add", "b": "crm.deal.add", "c": "crm.contact.add"}
    with pytest.raises(ConnectionAbortedError):
        await stand.ask("batch", {"cmd": cmd})
    totals = [(await stand.call(f"crm.{one}.list"))["total"] for one in ("lead", "deal", "contact")]
    assert totals == [1, 1, 0]


async def test_a_whole_batch_can_fail(stand: Stand) -> None:
    stand.faults.order(Fault("error", "batch", status=500))
    assert (await stand.ask("batch", {"cmd": ["crm.lead.add"]})).status == 500
    assert (await stand.call("crm.lead.list"))["total"] == 0


async def test_faults_are_ordered_from_outside_only_where_that_is_allowed(tmp_path: Path) -> None:
    stand = make_stand(tmp_path / "a.db", faults_endpoint=True)
    orders = json.dumps([{"kind": "error", "method": "crm.*", "status": 503}]).encode()
    assert (await stand.send("POST", "/faults", orders, JSON)).body == {"ordered": 1}
    assert (await stand.ask("crm.lead.add")).status == 503
    await stand.send("POST", "/faults", orders, JSON)
    assert (await stand.send("DELETE", "/faults")).status == 200
    assert (await stand.ask("crm.lead.add")).status == 200
    stand.portal.close()
    closed = make_stand(tmp_path / "b.db")
    assert (await closed.send("POST", "/faults", orders, JSON)).status == 403
    closed.portal.close()


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "explode"},
        {"kind": "drop", "when": "now"},
        {"kind": "drop", "times": "2"},
        5,
        "x",
        {"kind": "drop", "nth": 0},
    ],
)
async def test_a_wrong_order_is_refused(tmp_path: Path, order: Any) -> None:
    stand = make_stand(tmp_path / "p.db", faults_endpoint=True)
    reply = await stand.send("POST", "/faults", json.dumps(order).encode(), JSON)
    assert reply.status == 400
    assert reply.body["error"]
    stand.portal.close()
