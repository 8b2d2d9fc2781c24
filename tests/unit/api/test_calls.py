"""Runs that start other runs, in a whole hub."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.stage import Stage

CALLER = """
process: caller
steps:
  - {id: other, module: call, with: {process: "{{ request.which }}", request: "{{ request.with }}",
     wait: "{{ request.wait }}"}, next: [told]}
  - {id: told, module: echo, with: {got: "{{ other }}"}}
"""
CALLED = """
process: called
steps:
  - {id: judge, module: judge, with: {verdict: "{{ request.verdict }}"}, next: [who]}
  - {id: who, module: echo, with: {parent: "{{ parent.run }}", score: "{{ judge.score }}"}}
output: {score: "{{ judge.score }}", parent: "{{ parent.step }}"}
"""
SHARER = """
process: sharer
steps:
  - {id: lines, module: for-each, with: {process: line, items: "{{ request.lines }}",
     request: {order: "{{ request.order }}"}, concurrency: 2}, next: [told]}
  - {id: told, module: echo, with: {got: "{{ [lines.results.text] }}"}}
"""
LINE = """
process: line
steps:
  - {id: judge, module: judge, with: {verdict: "{{ item.verdict }}"}}
output: {text: "{{ request.order & '/' & $string(parent.item) & '/' & item.name }}"}
"""
IDENTITY = 'identity: {by: "{{ request.id }}", window: 1h}\n'


@pytest.fixture
async def calls(stage: Stage) -> Stage:
    texts = {"caller": CALLER, "called": CALLED, "sharer": SHARER, "line": LINE}
    for name, text in texts.items():
        await stage.hub.processes.publish(name, text, "yaml", f"{name}.yaml")
    stage.add_source("source: s\nkind: webhook\nprocess: sharer\nverify: none\n")
    stage.add_source(f"source: c\nkind: webhook\nprocess: caller\nverify: none\n{IDENTITY}")
    return stage


async def begin(stage: Stage, **body: Any) -> str:
    usual = {"id": 1, "which": "called", "with": {}, "wait": True}
    id: str = (await stage.send("c", usual | body)).json()["run"]
    return id


async def child_of(stage: Stage, id: str) -> str:
    (run,) = [
        line["run"] for line in (await stage.run(id))["journal"] if line["event"] == "child-started"
    ]
    return str(run)


async def test_a_run_waits_for_the_result_of_another_one(calls: Stage) -> None:
    id = await begin(calls)
    run = await calls.at_rest(id, "completed")
    assert run["document"]["told"]["got"] == {"score": 7, "parent": "other"}
    child = await calls.run(await child_of(calls, id))
    assert child["document"]["who"] == {"parent": id, "score": 7}
    assert (child["process"], child["request"]["source"]) == ("called", "call")


async def test_a_run_that_does_not_wait_goes_on_with_the_other_s_id(calls: Stage) -> None:
    id = await begin(calls, wait=False)
    run = await calls.at_rest(id, "completed")
    child = await child_of(calls, id)
    assert run["document"]["told"]["got"] == {"run": child}
    assert (await calls.at_rest(child, "completed"))["result"] == {"score": 7, "parent": "other"}


async def test_a_process_that_is_not_there_is_a_dead_letter_that_says_so(calls: Stage) -> None:
    id = await begin(calls, which="caled")
    assert "there is no process 'caled'" in (await calls.at_rest(id, "stopped"))["because"]


async def test_a_child_that_stops_is_told_at_its_parent_and_once_mended_both_go_on(
    calls: Stage,
) -> None:
    id = await begin(calls, **{"with": {"verdict": "bad"}})
    await calls.at_rest(id, "waiting")
    child = await child_of(calls, id)
    await calls.at_rest(child, "stopped")

    async def is_told() -> bool:
        return "which stopped: judge: the verdict is bad" in (await calls.run(id))["because"]

    await calls.until(is_told)
    skip = {"step": "judge", "result": {"score": 3}}
    await calls.ask("POST", f"/api/v1/runs/{child}/skip", skip)
    run = await calls.at_rest(id, "completed")
    assert run["document"]["told"]["got"]["score"] == 3


async def test_a_parent_that_is_cancelled_takes_its_child_along(calls: Stage) -> None:
    id = await begin(calls, **{"with": {"verdict": "bad"}})
    await calls.at_rest(id, "waiting")
    child = await child_of(calls, id)
    await calls.at_rest(child, "stopped")
    await calls.ask("POST", f"/api/v1/runs/{id}/cancel", {"reason": "enough"})
    await calls.at_rest(id, "cancelled")
    run = await calls.at_rest(child, "cancelled")
    assert f"its parent {id} has ended" in str(run["journal"][-1])


async def test_a_request_that_comes_twice_starts_one_child(calls: Stage) -> None:
    id = await begin(calls)
    assert await begin(calls) == id
    await calls.at_rest(id, "completed")
    runs = (await calls.ask("GET", "/api/v1/runs?process=called")).json()["runs"]
    assert len(runs) == 1


async def share(stage: Stage, *lines: dict[str, str]) -> str:
    id: str = (await stage.send("s", {"order": "A-7", "lines": list(lines)})).json()["run"]
    return id


async def test_a_run_for_each_item_has_the_item_and_what_all_of_them_have(calls: Stage) -> None:
    id = await share(calls, *({"name": name} for name in "abcd"))
    run = await calls.at_rest(id, "completed")
    assert run["document"]["told"]["got"] == ["A-7/0/a", "A-7/1/b", "A-7/2/c", "A-7/3/d"]
    runs = (await calls.ask("GET", "/api/v1/runs?process=line")).json()["runs"]
    assert len(runs) == 4


async def test_an_item_that_was_cancelled_is_begun_again_by_a_retry(calls: Stage) -> None:
    id = await share(calls, {"name": "a"}, {"name": "b", "verdict": "bad"}, {"name": "c"})
    await calls.at_rest(id, "waiting")
    started = [line for line in (await calls.run(id))["journal"] if line.get("item") == 1]
    child = started[0]["run"]
    await calls.at_rest(child, "stopped")
    await calls.ask("POST", f"/api/v1/runs/{child}/cancel", {"reason": "enough"})
    run = await calls.at_rest(id, "stopped")
    assert f"item 1: the run {child} was cancelled: enough" in run["because"]
    await calls.ask("POST", f"/api/v1/runs/{id}/retry", {"step": "lines"})

    async def is_begun_again() -> bool:
        journal = (await calls.run(id))["journal"]
        begun = [one["item"] for one in journal if one["event"] == "child-started"]
        return begun in ([0, 1, 1], [0, 1, 2, 1], [0, 1, 1, 2])

    await calls.until(is_begun_again)
