"""Events from outside over the API, and the runs that wait for them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.core.explanation import moment
from tests.unit.api.stage import NOW, Stage

PAYING = """
process: paying
steps:
  - id: paid
    module: wait-event
    with: {name: payment-received, key: "{{ request.order }}", within: 2d}
    on_timeout: [reminded]
    next: [thanked]
  - {id: thanked, module: echo, with: {sum: "{{ paid.data.sum }}"}}
  - {id: reminded, module: echo, with: {}}
"""
PAID = {"name": "payment-received", "key": "17", "data": {"sum": 5}}


@pytest.fixture
async def waiting(stage: Stage) -> str:
    """A run that waits for a payment of order 17."""
    await stage.hub.processes.publish("paying", PAYING, "yaml", "paying.yaml")
    stage.add_source("source: pay\nkind: webhook\nprocess: paying\nverify: none\n")
    id: str = (await stage.send("pay", {"order": 17})).json()["run"]
    await stage.at_rest(id, "waiting")
    return id


async def send(stage: Stage, event: Any, status: int = 202, **how: Any) -> Any:
    answer = await stage.ask("POST", "/api/v1/events", event, **{"role": "operator"} | how)
    assert answer.status == status, answer.body
    return answer.json()


async def test_an_event_moves_the_run_that_waits_for_it_on(stage: Stage, waiting: str) -> None:
    told = await send(stage, PAID | {"id": "p-1"})
    assert told == {"id": "p-1", "runs": 1, "kept_until": None, "repeat": False}
    run = await stage.at_rest(waiting, "completed")
    assert run["path"] == ["paid", "thanked"]
    assert run["document"]["thanked"] == {"sum": 5}
    again = await send(stage, PAID | {"id": "p-1"})
    assert again == {"id": "p-1", "runs": 1, "kept_until": None, "repeat": True}


async def test_an_event_that_comes_first_is_kept_for_the_run(stage: Stage, waiting: str) -> None:
    told = await send(stage, PAID | {"key": "18", "keep": "2h"})
    assert (told["runs"], told["kept_until"]) == (0, moment(NOW + 7_200_000))
    id = (await stage.send("pay", {"order": 18})).json()["run"]
    assert (await stage.at_rest(id, "completed"))["path"] == ["paid", "thanked"]


async def test_what_runs_wait_for_is_listed(stage: Stage, waiting: str) -> None:
    shown = (await stage.ask("GET", "/api/v1/waits", role="viewer")).json()
    assert shown["waits"] == [
        {
            "run": waiting,
            "step": "paid",
            "visit": 1,
            "name": "payment-received",
            "key": "17",
            "since": moment(NOW),
        }
    ]
    first = (await stage.ask("GET", "/api/v1/waits?limit=1&name=payment-received")).json()
    assert first["next"] == f"{waiting}/paid/1"
    rest = (await stage.ask("GET", f"/api/v1/waits?after={first['next']}")).json()
    assert rest == {"waits": [], "next": None}
    assert (await stage.ask("GET", "/api/v1/waits?after=x/y")).status == 400
    run = await stage.run(waiting)
    assert "waits for the event 'payment-received' with the key '17', until" in run["because"]


async def test_another_event_under_the_same_id_is_refused(stage: Stage) -> None:
    await send(stage, PAID | {"id": "p-1"})
    problem = await send(stage, PAID | {"id": "p-1", "key": "99"}, 409)
    assert "Another event" in problem["detail"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"key": "17"}, "name"),
        (PAID | {"name": "x" * 600}, "limit event_key_bytes"),
        (PAID | {"keep": "30d"}, "limit event_keep_ms"),
        (PAID | {"keep": "soon"}, "length of time"),
        (PAID | {"nme": 1}, "nme"),
    ],
)
async def test_what_is_no_event_is_refused_in_words(stage: Stage, event: Any, words: str) -> None:
    assert words in (await send(stage, event, 422))["detail"]


async def test_a_viewer_brings_no_events(stage: Stage) -> None:
    await send(stage, msgspec.json.encode(PAID), 403, role="viewer")
