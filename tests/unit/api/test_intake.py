"""What a sender is told: 202 only for what is durable, a clear 4xx for everything that is wrong."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path
from typing import Any

import pytest

from beltline.core.limits import TINY
from beltline.engine.ports import StoreFull
from beltline.engine.records import Batch, Repeat
from tests.unit.api.calling import Answered, call
from tests.unit.api.stage import Stage, running_stage

ONCE = """
source: once
kind: webhook
process: lead
verify: none
identity: {by: "{{ request.lead_id }}", window: 1h}
"""
HELD = "source: held\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n"
SIGNED = """
source: signed
kind: webhook
process: lead
verify: {hmac: {header: X-Signature, secret: "${KEY}"}}
"""


def assert_problem(answer: Answered, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["must_act"] == ("caller" if status < 500 else "operator")
    assert problem["type"].startswith("urn:beltline:problem:")
    assert problem["title"]
    assert problem["detail"].endswith(".")
    return problem


async def stored(stage: Stage) -> int:
    """How many requests there are in the store."""
    return len((await stage.ask("GET", "/api/v1/runs?limit=200")).json()["runs"])


# What is accepted


async def test_a_request_is_accepted_and_carried_to_its_end(stage: Stage) -> None:
    answer = await stage.send("form", {"name": "Anna", "n": 12345678901234567890})
    assert answer.status == 202
    told = answer.json()
    assert told == {
        "request": told["request"],
        "run": told["request"],
        "status": f"/api/v1/runs/{told['request']}",
    }
    run = await stage.at_rest(told["run"], "completed")
    assert run["path"] == ["greet", "judge", "tell"]
    assert run["document"]["greet"] == {"name": "Anna"}
    assert run["request"]["body"] == {"name": "Anna", "n": 12345678901234567890}


async def test_a_form_is_accepted(stage: Stage) -> None:
    answer = await stage.send(
        "form", b"name=Anna&phones[]=1", content_type="application/x-www-form-urlencoded"
    )
    run = await stage.run(answer.json()["run"])
    assert run["request"]["body"] == {"name": "Anna", "phones": ["1"]}


async def test_202_is_said_only_after_the_commit(stage: Stage, monkeypatch: Any) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    commit = stage.store.commit

    async def slow_commit(batch: Batch) -> list[Repeat | None]:
        reached.set()
        await go_on.wait()
        answers: list[Repeat | None] = await commit(batch)
        return answers

    monkeypatch.setattr(stage.store, "commit", slow_commit, raising=False)
    sending = asyncio.ensure_future(stage.send("form", {"name": "Anna"}))
    await reached.wait()
    assert not sending.done()
    go_on.set()
    assert (await sending).status == 202


async def test_a_body_may_come_in_parts_without_a_length(stage: Stage) -> None:
    answer = await stage.send("form", [b'{"na', b"", b'me":"An', b'na"}'])
    run = await stage.run(answer.json()["run"])
    assert run["request"]["body"] == {"name": "Anna"}


async def test_a_held_request_has_no_run_yet(stage: Stage) -> None:
    stage.add_source(HELD)
    told = (await stage.send("held", {"name": "Anna"})).json()
    assert told["run"] is None
    run = await stage.run(told["request"])
    assert run["status"] == "waiting"
    assert "'held' holds it back in its buffer" in run["because"]
    assert run["version"] is None
    assert run["journal"] == []
    assert run["request"]["source"] == "held"


# What is refused


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"a":1,"a":2}', 400),
        (b'{"a":NaN}', 400),
        (b'{"a":Infinity}', 400),
        (b'{"a":1e999}', 400),
        (b'{"a":123456789012345678901234567890}', 400),
        (b'{"a":"\\ud800"}', 400),
        (b'{"a":"\xff"}', 400),
        ('{"a":1}'.encode("utf-16"), 400),
        (b"[" * 10_000 + b"]" * 10_000, 400),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
        (b'"' + b"x" * (1_048_577 - 2) + b'"', 413),
    ],
    ids=["empty", "half", "duplicate", "nan", "infinity", "1e999", "integer", "surrogate", "utf-8",
         "utf-16", "lists", "objects", "1 MiB + 1"],
)  # fmt: skip
async def test_bad_bodies_are_refused_and_nothing_is_stored(
    stage: Stage, body: bytes, status: int
) -> None:
    assert_problem(await stage.send("form", body), status)
    assert_problem(await stage.send("form", [body[:1], body[1:]]), status)
    assert await stored(stage) == 0
    assert stage.hub.counters.intake_answers == {status: 2}


async def test_a_body_of_just_the_limit_is_accepted(stage: Stage) -> None:
    body = b'"' + b"x" * (1_048_576 - 2) + b'"'
    assert (await stage.send("form", body)).status == 202


@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_body_past_the_limit_names_it(tmp_path: Path, in_parts: bool) -> None:
    async with running_stage(tmp_path, limits=TINY) as stage:
        body = b"x" * (TINY.request_body_bytes + 1)
        parts = [body[:1_000], body[1_000:2_000], body[2_000:]]
        answer = await stage.send("form", parts if in_parts else body)
        problem = assert_problem(answer, 413)
        assert "request_body_bytes" in problem["detail"]
        assert answer.headers["connection"] == "close"


async def test_a_body_that_is_announced_too_large_is_not_read(stage: Stage) -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/in/form", "query_string": b"",
             "headers": [(b"content-length", b"9999999999")]}  # fmt: skip
    await stage.app(scope, never, send)
    assert sent[0]["status"] == 413


async def test_a_sender_that_leaves_is_not_answered_and_nothing_is_stored(stage: Stage) -> None:
    headers = [("Content-Type", "application/json")]
    assert await call(stage.app, "POST", "/in/form", [b'{"a":1}'], headers, gone=True) is None
    assert await stored(stage) == 0


@pytest.mark.parametrize("content_type", [None, "text/html", "image/png"])
async def test_other_content_types_are_refused(stage: Stage, content_type: str | None) -> None:
    assert_problem(await stage.send("form", b"{}", content_type=content_type), 415)


@pytest.mark.parametrize(
    "name", ["", "nobody", "form/", "FORM", "../form", "form/../form", "form\x00", "%66orm", "ф"]
)
async def test_unknown_sources_are_told(stage: Stage, name: str) -> None:
    assert_problem(await stage.send(name, {}), 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_told_the_right_one(stage: Stage, method: str) -> None:
    answer = await stage.send("form", {}, method=method)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


async def test_a_wrong_signature_is_refused_and_a_right_one_accepted(stage: Stage) -> None:
    stage.add_source(SIGNED)
    stage.secrets["KEY"] = "canary"
    right = hmac.new(b"canary", b"{}", "sha256").hexdigest()
    assert_problem(await stage.send("signed", b"{}"), 401)
    assert_problem(await stage.send("signed", b"{}", ("X-Signature", right[:-2] + "00")), 401)
    assert_problem(await stage.send("signed", b"{ }", ("X-Signature", right)), 401)
    twice = [("X-Signature", right)] * 2
    assert_problem(await stage.send("signed", b"{}", *twice), 400)
    assert await stored(stage) == 0
    assert (await stage.send("signed", b"{}", ("X-Signature", right))).status == 202


async def test_without_its_secret_a_source_accepts_nothing(stage: Stage) -> None:
    stage.add_source(SIGNED)
    empty = hmac.new(b"", b"{}", "sha256").hexdigest()
    answer = await stage.send("signed", b"{}", ("X-Signature", empty))
    assert_problem(answer, 503)
    assert answer.headers["retry-after"] == "60"
    assert "KEY" not in answer.body.decode()
    assert await stored(stage) == 0


# Identity


async def test_a_repeat_gets_the_first_s_answer_and_starts_nothing(stage: Stage) -> None:
    stage.add_source(ONCE)
    first = await stage.send("once", b'{"lead_id":7,"name":"Anna"}')
    again = await stage.send("once", b'{ "name": "Anna", "lead_id": 7 }')
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    assert await stored(stage) == 1


async def test_repeats_at_the_same_moment_start_one_run(stage: Stage) -> None:
    stage.add_source(ONCE)
    answers = await asyncio.gather(*(stage.send("once", {"lead_id": 7}) for _ in range(20)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body for answer in answers}) == 1
    assert await stored(stage) == 1


async def test_the_same_identity_with_another_body_is_a_conflict(stage: Stage) -> None:
    stage.add_source(ONCE)
    first = (await stage.send("once", {"lead_id": 7})).json()
    problem = assert_problem(await stage.send("once", {"lead_id": 7, "name": "Boris"}), 409)
    assert first["request"] in problem["detail"]
    assert await stored(stage) == 1


async def test_after_its_window_an_identity_is_free_again(stage: Stage) -> None:
    stage.add_source(ONCE)
    first = (await stage.send("once", {"lead_id": 7})).json()
    stage.clock.time += 3_600_001
    second = (await stage.send("once", {"lead_id": 7, "name": "Boris"})).json()
    assert second["request"] != first["request"]


async def test_a_request_without_identity_is_told(stage: Stage) -> None:
    stage.add_source(ONCE)
    assert_problem(await stage.send("once", {"name": "Anna"}), 422)
    problem = assert_problem(await stage.send("once", {"lead_id": "x" * 513}), 422)
    assert "identity_bytes" in problem["detail"]


async def test_a_repeat_of_a_held_request_is_told_that_it_is_held(stage: Stage) -> None:
    stage.add_source(ONCE + "release: paused\n")
    first = await stage.send("once", {"lead_id": 7})
    assert (await stage.send("once", {"lead_id": 7})).body == first.body
    assert first.json()["run"] is None


# When nothing can be accepted


async def test_a_hub_that_stops_accepts_nothing_and_says_so(stage: Stage) -> None:
    stage.hub.node.drain()
    answer = await stage.send("form", {})
    problem = assert_problem(answer, 503)
    assert "stopping" in problem["detail"]
    assert answer.headers["retry-after"]


async def test_a_sender_whom_the_server_cuts_off_at_its_stop_hears_that_it_is_in_doubt(
    stage: Stage, monkeypatch: Any
) -> None:
    asked = asyncio.Event()

    async def stuck(batch: Batch) -> list[Repeat | None]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("it never comes to an end")

    monkeypatch.setattr(stage.store, "commit", stuck, raising=False)
    sending = asyncio.ensure_future(stage.send("form", {"name": "Anna"}))
    await asked.wait()
    stage.hub.node.drain()
    sending.cancel()
    problem = assert_problem(await sending, 503)
    assert problem["type"].endswith("in-doubt")


async def test_a_full_store_turns_senders_away_and_recovers(stage: Stage, monkeypatch: Any) -> None:
    async def full(batch: Batch) -> list[Repeat | None]:
        raise StoreFull("the disk has no room left")

    monkeypatch.setattr(stage.store, "commit", full, raising=False)
    problem = assert_problem(await stage.send("form", {}), 503)
    assert "no room" in problem["detail"]
    ready = await stage.ask("GET", "/readyz", role=None)
    assert "no room" in assert_problem(ready, 503)["detail"]


async def test_a_source_without_its_process_accepts_nothing(stage: Stage) -> None:
    stage.add_source("source: lost\nkind: webhook\nprocess: nowhere\nverify: none\n")
    assert_problem(await stage.send("lost", {}), 503)
    assert await stored(stage) == 0


async def test_a_source_can_be_exchanged_while_the_hub_runs(stage: Stage) -> None:
    assert (await stage.send("form", {})).status == 202
    stage.add_source(SIGNED.replace("source: signed", "source: form"))
    stage.secrets["KEY"] = "k"
    assert_problem(await stage.send("form", {}), 401)


async def test_answers_are_neither_sniffed_nor_cached(stage: Stage) -> None:
    for answer in (await stage.send("form", {}), await stage.send("nobody", {})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
