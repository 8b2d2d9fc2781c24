"""Senders that wait for their run: `Prefer: wait=N`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.core.limits import PRODUCTION
from tests.unit.api.stage import Stage, running_stage

HEAD = "kind: webhook\nprocess: lead\nverify: none\n"


def add(stage: Stage, name: str, rest: str) -> None:
    stage.add_source(f"source: {name}\n{HEAD}{rest}\n")


WAIT = ("Prefer", "wait=10")


async def test_a_sender_that_waits_hears_how_its_run_ended(stage: Stage) -> None:
    answer = await stage.send("form", {"name": "Anna"}, WAIT)
    told = answer.json()
    assert answer.status == 200
    assert answer.headers["preference-applied"] == "wait=10"
    assert told["result"] == {"status": "completed"}
    assert told["run"] == told["request"]
    stopped = (await stage.send("form", {"verdict": "bad"}, WAIT)).json()
    assert stopped["result"] == {"status": "stopped"}


async def test_a_source_says_what_of_the_run_a_sender_may_see(stage: Stage) -> None:
    add(stage, "output", 'wait: {output: {score: "{{ judge.score }}", who: "{{ greet.name }}"}}')
    told = (await stage.send("output", {"name": "Anna"}, WAIT)).json()
    assert told["result"] == {"status": "completed", "output": {"score": 7, "who": "Anna"}}
    add(stage, "whole", "wait: {document: true}")
    told = (await stage.send("whole", {"name": "Anna"}, WAIT)).json()
    assert told["result"]["document"]["tell"] == {"score": 7}


async def test_the_wait_has_its_time_and_then_it_is_202(tmp_path: Path) -> None:
    async def never(config: dict[str, Any], context: Any) -> Any:
        await asyncio.Event().wait()

    limits = msgspec.structs.replace(PRODUCTION, sender_wait_ms=1)
    async with running_stage(tmp_path, limits=limits, modules={"echo": never}) as stage:
        answer = await stage.send("form", {}, ("Prefer", "respond-async, wait=100"))
        assert answer.status == 202
        assert "preference-applied" not in answer.headers
        assert "result" not in answer.json()
        committer = stage.hub.node.committer
        assert (committer.watchers, committer.senders) == ({}, {})


async def test_a_bounded_number_of_senders_waits(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(PRODUCTION, waiting_senders=0)
    async with running_stage(tmp_path, limits=limits) as stage:
        assert (await stage.send("form", {}, WAIT)).status == 202


@pytest.mark.parametrize("value", ["wait=0", "wait=-1", "wait=x", "wait", "await=10", "wait=", ""])
async def test_other_preferences_are_no_wait(stage: Stage, value: str) -> None:
    assert (await stage.send("form", {}, ("Prefer", value))).status == 202


@pytest.mark.parametrize(
    "value", ["WAIT = 10", 'wait="10"', "a;b=c, wait=10;x", "wait=999999999999"]
)
async def test_a_wait_is_understood_however_it_is_written(stage: Stage, value: str) -> None:
    assert (await stage.send("form", {}, ("Prefer", value))).status == 200


async def test_a_wait_may_stand_in_a_second_header(stage: Stage) -> None:
    answer = await stage.send("form", {}, ("Prefer", "handling=lenient"), WAIT)
    assert answer.status == 200


async def test_nobody_waits_for_a_request_that_is_held_back(stage: Stage) -> None:
    add(stage, "held", "release: paused")
    answer = await stage.send("held", {}, WAIT)
    assert (answer.status, answer.json()["run"]) == (202, None)


async def test_a_repeat_that_waits_hears_of_the_first_s_run(stage: Stage) -> None:
    add(stage, "once", 'identity: {by: "{{ request.n }}"}')
    first = (await stage.send("once", {"n": 1})).json()
    await stage.at_rest(first["run"], "completed")
    again = await stage.send("once", {"n": 1}, WAIT)
    assert (again.status, again.json()["request"]) == (200, first["request"])
    assert again.headers["idempotent-replay"] == "true"


async def test_a_sender_that_is_cut_off_while_it_waits_hears_that_it_was_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(config: dict[str, Any], context: Any) -> Any:
        await asyncio.Event().wait()

    async with running_stage(tmp_path, modules={"echo": never}) as stage:
        waits = asyncio.Event()
        watch = stage.hub.node.watch_as_sender

        def noted(key: bytes) -> Any:
            waits.set()
            return watch(key)

        monkeypatch.setattr(stage.hub.node, "watch_as_sender", noted)
        sending = asyncio.ensure_future(stage.send("form", {}, WAIT))
        await waits.wait()
        stage.hub.node.drain()
        sending.cancel()
        answer = await sending
        assert answer.status == 202
        assert (await stage.run(answer.json()["run"]))["status"] == "moving"


ANSWERS = """
process: answers
start: [first, slow]
steps:
  - id: first
    module: respond
    with:
      status: 422
      headers: {Content-Type: text/x-own, Vary: "*", X-Own: "{{ request.name }}"}
      body: "Hello {{ request.name }}"
    next: [second]
  - id: second
    module: respond
    with: {body: {second: true}}
  - id: slow
    module: slow
"""


async def test_a_sender_that_waits_gets_the_first_answer_that_a_step_gives(
    tmp_path: Path,
) -> None:
    gone_on = asyncio.Event()

    async def slow(config: dict[str, Any], context: Any) -> dict[str, Any]:
        await gone_on.wait()
        return {}

    async with running_stage(tmp_path, modules={"slow": slow}) as stage:
        await stage.hub.processes.publish("answers", ANSWERS, "yaml", "answers.yaml")
        stage.add_source("source: ask\nkind: webhook\nprocess: answers\nverify: none\n")
        answer = await stage.send("ask", {"name": "Anna"}, WAIT)
        assert (answer.status, answer.body) == (422, b"Hello Anna")
        assert answer.headers["content-type"] == "text/x-own"
        assert answer.headers["x-own"] == "Anna"
        assert "vary" not in answer.headers
        assert answer.headers["preference-applied"] == "wait=10"
        # The run goes on after it, and nobody is left to be told.
        committer = stage.hub.node.committer
        assert (committer.watchers, committer.senders) == ({}, {})
        run = (await stage.ask("GET", "/api/v1/runs")).json()["runs"][0]
        assert run["status"] == "moving"
        gone_on.set()
        shown = await stage.at_rest(run["id"], "completed")
        ignored = [line for line in shown["journal"] if line["event"] == "answer-ignored"]
        assert [line["step"] for line in ignored] == ["second"]
        assert shown["document"]["second"] == {"answered": False}


async def test_a_sender_that_waits_already_hears_an_answer_that_comes_later(
    tmp_path: Path,
) -> None:
    may_answer = asyncio.Event()

    async def slow(config: dict[str, Any], context: Any) -> dict[str, Any]:
        await may_answer.wait()
        return {"price": 5}

    text = """
process: late
steps:
  - {id: slow, module: slow, next: [tell]}
  - {id: tell, module: respond, with: {body: "{{ slow }}"}, next: [rest]}
  - {id: rest, module: wait, with: {for: 1h}}
"""
    async with running_stage(tmp_path, modules={"slow": slow}) as stage:
        await stage.hub.processes.publish("late", text, "yaml", "late.yaml")
        stage.add_source("source: ask\nkind: webhook\nprocess: late\nverify: none\n")
        sending = asyncio.ensure_future(stage.send("ask", {}, WAIT))

        async def is_waiting() -> bool:
            return bool(stage.hub.node.committer.senders)

        await stage.until(is_waiting)
        may_answer.set()
        answer = await sending
        assert (answer.status, answer.json()) == (200, {"price": 5})
