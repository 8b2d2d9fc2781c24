"""Cancel with undo, in a whole hub."""

from __future__ import annotations

import pytest

from tests.unit.api.stage import Stage

BOOKED = """
process: booked
steps:
  - {id: car, module: echo, with: {id: 1}, undo: no-car, next: [judge]}
  - {id: judge, module: judge, with: {verdict: bad}}
  - {id: no-car, module: echo, with: {id: "{{ car.id }}"}}
"""


@pytest.fixture
async def booked(stage: Stage) -> tuple[Stage, str]:
    """A run that has done one thing, and stopped at the next."""
    await stage.hub.processes.publish("booked", BOOKED, "yaml", "booked.yaml")
    stage.add_source("source: b\nkind: webhook\nprocess: booked\nverify: none\n")
    id = (await stage.send("b", {})).json()["run"]
    await stage.at_rest(id, "stopped")
    return stage, id


@pytest.mark.parametrize("many", [False, True])
async def test_a_run_is_undone_and_then_cancelled(booked: tuple[Stage, str], many: bool) -> None:
    stage, id = booked
    if many:
        body = {"process": "booked", "undo": True}
        answer = await stage.ask("POST", "/api/v1/dead-letters/cancel", body)
    else:
        answer = await stage.ask("POST", f"/api/v1/runs/{id}/cancel", {"undo": True})
    assert answer.status == 202
    run = await stage.at_rest(id, "cancelled")
    assert run["path"] == ["car", "no-car"]
    assert run["document"]["no-car"] == {"id": 1}
    (line,) = [one for one in run["journal"] if one["event"] == "undo-started"]
    assert line["steps"] == ["car"]


async def test_a_plain_cancel_undoes_nothing(booked: tuple[Stage, str]) -> None:
    stage, id = booked
    await stage.ask("POST", f"/api/v1/runs/{id}/cancel", {})
    assert (await stage.at_rest(id, "cancelled"))["path"] == ["car"]
