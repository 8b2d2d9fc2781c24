"""Outgoing events: bound, announced with the change, delivered once, never again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bitrix24_portal.deliveries import Deliveries, delivery_list
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_portal.stand import Stand, make_stand

HOOK = "http://127.0.0.1:9/hook"


async def _bind(stand: Stand, *events: str, handler: str = HOOK) -> None:
    for event in events:
        assert await stand.result("event.bind", {"event": event, "handler": handler}) is True


def _recorder(stand: Stand, status: int | Exception = 200) -> tuple[Deliveries, list[Any]]:
    sent: list[Any] = []

    async def send(address: str, form: list[tuple[str, str]]) -> int:
        sent.append((address, dict(form)))
        if isinstance(status, Exception):
            raise status
        return status

    return Deliveries(stand.portal, send), sent


async def test_an_added_lead_is_told_in_the_form_of_the_portal(stand: Stand) -> None:
    await _bind(stand, "onCrmLeadAdd")
    await stand.add("lead")
    deliveries, sent = _recorder(stand)
    assert await deliveries.send_waiting() == 1
    assert sent == [
        (
            HOOK,
            {
                "event": "ONCRMLEADADD",
                "event_handler_id": "1",
                "data[FIELDS][ID]": "1",
                "ts": "1790000000",
                "auth[domain]": "127.0.0.1:8600",
                "auth[client_endpoint]": "http://127.0.0.1:8600/rest/",
                "auth[server_endpoint]": "http://127.0.0.1:8600/oauth/rest/",
                "auth[member_id]": "3132372e302e302e313a383630300000"[:32],
                "auth[application_token]": "local-application-token",
            },
        )
    ]
    assert await deliveries.send_waiting() == 0


async def test_each_change_of_either_face_is_announced_to_each_handler(stand: Stand) -> None:
    other = "http://127.0.0.1:9/other"
    await _bind(stand, "ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE")
    await _bind(stand, "ONCRMDEALUPDATE", handler=other)
    await _bind(stand, "ONCRMTIMELINECOMMENTADD", "ONCRMACTIVITYADD")
    await stand.call("crm.item.add", {"entityTypeId": 2, "fields": {"title": "С"}})
    await stand.call("crm.deal.update", {"id": 1, "fields": {"TITLE": "Т"}})
    comment = {"ENTITY_ID": 1, "ENTITY_TYPE": "deal", "COMMENT": "Текст"}
    await stand.call("crm.timeline.comment.add", {"fields": comment})
    todo = {"ownerTypeId": 2, "ownerId": 1, "deadline": "2026-10-01"}
    await stand.call("crm.activity.todo.add", todo)
    await stand.call("crm.deal.delete", {"id": 1})
    told = [(one["event"], one["handler"]) for one in delivery_list(stand.portal)]
    assert told == [
        ("ONCRMDEALADD", HOOK),
        ("ONCRMDEALUPDATE", HOOK),
        ("ONCRMDEALUPDATE", other),
        ("ONCRMTIMELINECOMMENTADD", HOOK),
        ("ONCRMACTIVITYADD", HOOK),
        ("ONCRMDEALDELETE", HOOK),
    ]


async def test_a_refused_call_announces_nothing(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD")
    await stand.refusal("crm.lead.add", {"fields": {"OPPORTUNITY": "much"}})
    assert delivery_list(stand.portal) == []


@pytest.mark.parametrize(
    ("outcome", "noted"),
    [(500, "answered 500"), (OSError("refused"), "failed: OSError"), (200, "answered 200")],
)
async def test_what_a_handler_failed_to_take_is_not_sent_again(
    stand: Stand, outcome: int | Exception, noted: str
) -> None:
    await _bind(stand, "ONCRMLEADADD")
    await stand.add("lead")
    deliveries, sent = _recorder(stand, outcome)
    await deliveries.send_waiting()
    await deliveries.send_waiting()
    assert len(sent) == 1
    assert [one["outcome"] for one in delivery_list(stand.portal)] == [noted]


async def test_an_attempt_cut_off_by_a_crash_is_not_repeated(tmp_path: Path) -> None:
    stand = make_stand(tmp_path / "p.db")
    await _bind(stand, "ONCRMLEADADD")
    await stand.add("lead")
    started = asyncio.Event()

    async def hang(_address: str, _form: list[tuple[str, str]]) -> int:
        started.set()
        await asyncio.Event().wait()
        return 200

    attempt = asyncio.create_task(Deliveries(stand.portal, hang).send_waiting())
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    stand.portal.close()

    again = make_stand(tmp_path / "p.db")
    deliveries, sent = _recorder(again)
    assert await deliveries.send_waiting() == 0
    assert sent == []
    await again.add("lead")
    assert await deliveries.send_waiting() == 1
    again.portal.close()


async def test_the_background_task_is_woken_by_a_call(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD")
    told = asyncio.Event()

    async def send(_address: str, _form: list[tuple[str, str]]) -> int:
        told.set()
        return 200

    task = asyncio.create_task(Deliveries(stand.portal, send).run())
    await stand.add("lead")
    await asyncio.wait_for(told.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_handlers_are_listed_and_unbound(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD", "ONCRMDEALADD")
    listed = await stand.result("event.get")
    assert listed[0] == {"event": "ONCRMLEADADD", "handler": HOOK, "auth_type": "0", "offline": 0}
    gone = await stand.result("event.unbind", {"event": "onCrmLeadAdd", "handler": HOOK})
    assert gone == {"count": 1}
    assert [one["event"] for one in await stand.result("event.get")] == ["ONCRMDEALADD"]
    await stand.add("lead")
    assert delivery_list(stand.portal) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"event": "ONSUNRISE", "handler": HOOK}, "EVENT_NOT_FOUND"),
        ({"event": "ONCRMLEADADD", "handler": "ftp://x/y"}, "ERROR_EVENT_HANDLER_URL"),
        ({"event": "ONCRMLEADADD", "handler": "not an address"}, "ERROR_EVENT_HANDLER_URL"),
        ({"event": "ONCRMLEADADD", "handler": HOOK, "event_type": "offline"}, "WRONG_AUTH_TYPE"),
        ({"event": "ONCRMDEALADD", "handler": HOOK}, "ERROR_EVENT_BINDING_EXISTS"),
    ],
)
async def test_wrong_bindings_are_refused(stand: Stand, params: dict[str, Any], code: str) -> None:
    await _bind(stand, "ONCRMDEALADD")
    assert (await stand.refusal("event.bind", params))[:2] == (400, code)


def _names(sent: list[Any]) -> list[str]:
    return [f"{form['event']} {form['data[FIELDS][ID]']}" for _, form in sent]


async def test_every_second_event_is_lost_where_that_is_ordered(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD", "ONCRMDEALADD")
    stand.faults.order(Fault("lose-event", "ONCRMLEAD*", times=2, nth=2))
    for _ in range(5):
        await stand.add("lead")
    await stand.add("deal")
    deliveries, sent = _recorder(stand)
    while await deliveries.send_waiting():
        pass
    assert sorted(_names(sent)) == [
        *("ONCRMDEALADD 1", "ONCRMLEADADD 1", "ONCRMLEADADD 3", "ONCRMLEADADD 5")
    ]
    assert [one["outcome"] for one in delivery_list(stand.portal)][:2] == ["answered 200", "lost"]


async def test_a_doubled_event_is_sent_twice(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD")
    stand.faults.order(Fault("double-event"))
    await stand.add("lead")
    await stand.add("lead")
    deliveries, sent = _recorder(stand)
    await deliveries.send_waiting()
    assert sorted(_names(sent)) == ["ONCRMLEADADD 1", "ONCRMLEADADD 1", "ONCRMLEADADD 2"]


async def test_a_late_event_comes_after_those_that_happened_later(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD")
    stand.faults.order(Fault("late-event", delay_s=60.0))
    await stand.add("lead")
    await stand.add("lead")
    deliveries, sent = _recorder(stand)
    await deliveries.send_waiting()
    await asyncio.gather(*deliveries._late)
    assert _names(sent) == ["ONCRMLEADADD 2", "ONCRMLEADADD 1"]
    assert [one["outcome"] for one in delivery_list(stand.portal)] == ["answered 200"] * 2


async def test_faults_of_events_and_of_calls_are_apart(stand: Stand) -> None:
    await _bind(stand, "ONCRMLEADADD")
    stand.faults.order(Fault("lose-event"))
    stand.faults.order(Fault("error"))
    assert (await stand.ask("crm.lead.add")).status == 500
    await stand.add("lead")
    deliveries, sent = _recorder(stand)
    await deliveries.send_waiting()
    assert sent == []


async def test_an_outgoing_webhook_is_told_of_everything_and_bound_once(tmp_path: Path) -> None:
    for _ in range(2):
        stand = make_stand(tmp_path / "p.db", outgoing=(HOOK,))
        bound = [one["event"] for one in await stand.result("event.get")]
        assert {"ONCRMLEADADD", "ONCRMDEALDELETE", "ONCRMCOMPANYUPDATE"} < set(bound)
        assert len(bound) == len(set(bound))
        stand.portal.close()
