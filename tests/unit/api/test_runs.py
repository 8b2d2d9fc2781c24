"""Looking at runs, and deciding about those that stand."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest

from beltline.api.app import create_app
from beltline.engine.ids import key_of
from beltline.engine.processes import ProcessBook
from beltline.engine.records import RunFilter
from tests.unit.api.stage import NOW, Stage, running_stage

TWO_BRANCHES = """
process: two
start: [judged, held]
steps:
  - {id: judged, module: judge, with: {verdict: bad}}
  - {id: held, module: hold}
"""


async def completed(stage: Stage, **body: Any) -> str:
    """A run that went to its end."""
    id: str = (await stage.send("form", body)).json()["run"]
    await stage.at_rest(id, "completed")
    return id


async def stopped(stage: Stage, **body: Any) -> str:
    """A run with a dead letter at `judge`."""
    id: str = (await stage.send("form", {"verdict": "bad", **body})).json()["run"]
    await stage.at_rest(id, "stopped")
    return id


async def listed(stage: Stage, query: str = "") -> list[str]:
    page = await stage.ask("GET", f"/api/v1/runs{query}")
    assert page.status == 200, page.body
    return [run["id"] for run in page.json()["runs"]]


# Lists


async def test_runs_are_listed_newest_first_and_filtered(stage: Stage) -> None:
    one = await completed(stage, name="a")
    stage.clock.time += 60_000
    two = await stopped(stage)
    stage.add_source("source: other\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n")
    stage.clock.time += 60_000
    three = (await stage.send("other", {})).json()["request"]
    assert await listed(stage) == [three, two, one]
    assert await listed(stage, "?status=stopped") == [two]
    assert await listed(stage, "?source=other") == [three]
    assert await listed(stage, "?process=lead&status=completed") == [one]
    assert await listed(stage, "?process=nothing") == []
    assert await listed(stage, "?since=2025-11-24T16:01:00Z") == [three, two]
    assert await listed(stage, "?until=2025-11-24T16:01:00Z") == [one]


async def test_a_listed_run_says_what_it_is(stage: Stage) -> None:
    id = await completed(stage, name="a")
    page = (await stage.ask("GET", "/api/v1/runs")).json()
    assert page == {
        "runs": [
            {
                "id": id,
                "source": "form",
                "process": "lead",
                "version": 1,
                "status": "completed",
                "accepted_at": "2025-11-24T16:00:00.000+00:00",
                "ready_at": None,
                "crashes": 0,
            }
        ],
        "next": None,
    }


async def test_pages_follow_each_other_without_a_gap(stage: Stage) -> None:
    ids = [await completed(stage, name=str(number)) for number in range(5)]
    page = (await stage.ask("GET", "/api/v1/runs?limit=2")).json()
    seen = [run["id"] for run in page["runs"]]
    for _ in range(2):
        path = f"/api/v1/runs?limit=2&before={page['next']}"
        page = (await stage.ask("GET", path)).json()
        seen += [run["id"] for run in page["runs"]]
    assert page["next"] is None
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=201", "limit=x", "limit=1e3", "status=odd", "since=yesterday",
     "since=2025-11-24T16:00:00", "until=", "before=x", "before=", "offset=1", "limit=1&limit=2",
     "process=%ff", "a=1&" * 60],
)  # fmt: skip
async def test_wrong_queries_are_told(stage: Stage, query: str) -> None:
    answer = await stage.ask("GET", f"/api/v1/runs?{query}")
    assert answer.status == 400
    assert answer.json()["type"] == "urn:beltline:problem:wrong-query"


async def test_the_longest_page_is_named(stage: Stage) -> None:
    problem = (await stage.ask("GET", "/api/v1/runs?limit=201")).json()
    assert "limit page" in problem["detail"]


# One run


async def test_a_run_is_shown_with_its_reason_and_its_journal(stage: Stage) -> None:
    run = await stage.run(await stopped(stage, name="Anna"))
    assert run["status"] == "stopped"
    assert run["because"] == "judge (visit 1) is a dead letter: reject: the verdict is bad"
    assert run["wake_at"] is None
    assert (run["process"], run["version"], run["path"]) == ("lead", 1, ["greet"])
    assert run["request"] == {
        "id": run["id"],
        "source": "form",
        "time": "2025-11-24T16:00:00.000+00:00",
        "headers": {"content-type": "application/json"},
        "body": {"verdict": "bad", "name": "Anna"},
    }
    assert run["document"]["request"] == {"verdict": "bad", "name": "Anna"}
    assert run["document"]["meta"]["id"] == run["id"]
    assert run["document"]["greet"] == {"name": "Anna"}
    assert [line["event"] for line in run["journal"]] == [
        "run-started", "step-started", "step-completed", "step-started", "step-failed",
        "run-stopped",
    ]  # fmt: skip
    assert [line["seq"] for line in run["journal"]] == list(range(6))


@pytest.mark.parametrize(
    "id", ["x", "0", "00000000-0000-0000-0000-000000000000", "' OR 1=1 --", "%00", "я" * 100]
)
async def test_an_unknown_run_is_told(stage: Stage, id: str) -> None:
    assert (await stage.ask("GET", f"/api/v1/runs/{id}")).status == 404
    assert (await stage.ask("POST", f"/api/v1/runs/{id}/retry")).status == 404


async def test_a_run_of_an_unusable_version_is_told_with_what_is_known(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await completed(stage, name="Anna")
    hub = dataclasses.replace(
        stage.hub, processes=ProcessBook(stage.hub.store, stage.hub.catalog, {}, stage.clock)
    )
    monkeypatch.setattr(stage, "app", create_app(hub))  # where nothing is compiled yet
    text = "process: lead\nsteps:\n  - {id: greet, module: gone}\n"
    key = key_of(id)
    assert key is not None
    record, _ = await stage.store.run(key)
    stored = await stage.store.version_by_id(record.version_id)

    async def version_by_id(version_id: int) -> Any:
        return type(stored)(stored.id, "lead", 1, "yaml", text, "", NOW)

    monkeypatch.setattr(stage.store, "version_by_id", version_by_id, raising=False)
    run = await stage.run(id)
    assert run["status"] == "completed"
    assert "gone" in run["because"]
    assert run["version"] == 1
    assert run["document"]["greet"] == {"name": "Anna"}
    assert len(run["journal"]) > 3
    assert (await stage.ask("POST", f"/api/v1/runs/{id}/cancel")).status == 409


# Decisions


async def test_a_dead_letter_is_retried_with_other_parameters(stage: Stage) -> None:
    id = await stopped(stage)
    answer = await stage.ask(
        "POST", f"/api/v1/runs/{id}/retry", {"step": "judge", "with": {"verdict": "good"}}
    )
    assert answer.status == 202
    assert answer.json()["run"] == id
    assert answer.json()["status"] == f"/api/v1/runs/{id}"
    run = await stage.at_rest(id, "completed")
    assert run["path"] == ["greet", "judge", "tell"]
    left = next(line for line in run["journal"] if line["event"] == "step-left")
    assert left["reason"] == "retried with other parameters (the admin)"


async def test_a_dead_letter_is_retried_as_it_is(stage: Stage) -> None:
    id = await stopped(stage)
    assert (await stage.ask("POST", f"/api/v1/runs/{id}/retry", role="operator")).status == 202

    async def retried() -> bool:
        events = [line["event"] for line in (await stage.run(id))["journal"]]
        return events.count("step-failed") == 2

    await stage.until(retried)


async def test_a_dead_letter_is_skipped_with_a_result(stage: Stage) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/skip", {"result": {"score": 3}})
    assert answer.status == 202
    run = await stage.at_rest(id, "completed")
    assert run["document"]["tell"] == {"score": 3}


async def test_a_dead_letter_goes_to_another_step(stage: Stage) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/goto", {"to": "tell"})
    assert answer.status == 202
    run = await stage.at_rest(id, "completed")
    assert run["path"] == ["greet", "tell"]


async def test_a_run_is_cancelled(stage: Stage) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/cancel", {"reason": "a test lead"})
    assert answer.status == 202
    run = await stage.at_rest(id, "cancelled")
    assert run["journal"][-1]["reason"] == "a test lead (the admin)"


@pytest.mark.parametrize(
    ("command", "body", "reason"),
    [
        ("retry", {"step": "nowhere"}, "no step 'nowhere'"),
        ("retry", {"step": "greet"}, "no dead letter at 'greet'"),
        ("skip", {"step": "greet"}, "no dead letter at 'greet'"),
        ("goto", {"to": "nowhere"}, "no step 'nowhere'"),
    ],
)
async def test_a_command_that_does_not_fit_is_refused(
    stage: Stage, command: str, body: Any, reason: str
) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/{command}", body)
    assert answer.status == 409
    assert reason in answer.json()["detail"]


@pytest.mark.parametrize("command", ["retry", "skip", "goto", "cancel"])
async def test_an_ended_run_and_a_held_request_take_no_command(stage: Stage, command: str) -> None:
    stage.add_source("source: held\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n")
    held = (await stage.send("held", {})).json()["request"]
    ended = await completed(stage)
    body = {"to": "tell"} if command == "goto" else {}
    for id, reason in ((held, "holds it back"), (ended, "completed")):
        answer = await stage.ask("POST", f"/api/v1/runs/{id}/{command}", body)
        assert answer.status == 409
        assert reason in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"step":"judge","step":"judge"}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"step":1}', "application/json", 422),
        (b'{"wiht":{}}', "application/json", 422),
        (b'{"with":[]}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", None, 415),
        (b"[" * 5_000, "application/json", 400),
        (b" " * 1_048_577, "application/json", 413),
    ],
)
async def test_wrong_bodies_are_told(
    stage: Stage, body: bytes, content_type: str | None, status: int
) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/retry", body, content_type=content_type)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_going_to_a_step_needs_the_step(stage: Stage) -> None:
    id = await stopped(stage)
    answer = await stage.ask("POST", f"/api/v1/runs/{id}/goto", {})
    assert answer.status == 422
    assert "`to`" in answer.json()["detail"]


async def test_a_run_with_a_dead_letter_is_stopped_also_while_a_branch_moves(
    tmp_path: Path,
) -> None:
    go_on = threading.Event()

    def hold(config: dict[str, Any], context: Any) -> dict[str, Any]:
        go_on.wait()
        return {}

    async with running_stage(tmp_path, modules={"hold": hold}) as stage:
        try:
            await stage.hub.processes.publish("two", TWO_BRANCHES, "yaml", "two.yaml")
            stage.add_source("source: two\nkind: webhook\nprocess: two\nverify: none\n")
            id = (await stage.send("two", {})).json()["run"]

            async def is_stopped() -> bool:
                return bool(await stage.store.runs(RunFilter(status="stopped"), 5))

            await stage.until(is_stopped)
            assert len(stage.hub.node.runs) == 1  # it moves
            assert await listed(stage, "?status=stopped") == [id]
            assert await listed(stage, "?status=moving") == []
            run = await stage.run(id)
            assert run["status"] == "stopped"
            assert "judged (visit 1) is a dead letter" in run["because"]
            assert "held (visit 1) is under way" in run["because"]
            page = (await stage.ask("GET", "/api/v1/dead-letters")).json()
            assert [letter["step"] for letter in page["runs"][0]["letters"]] == ["judged"]
        finally:
            go_on.set()
        await stage.at_rest(id, "stopped")
