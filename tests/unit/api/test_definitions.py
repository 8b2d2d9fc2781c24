"""Publishing processes, and reading what is published."""

from __future__ import annotations

import json

import pytest

from tests.unit.api.stage import LEAD, Stage

GOOD = "process: other\ntitle: Another\nsteps:\n  - {id: one, module: echo}\n"
PATH = "/api/v1/processes/other"


async def test_a_definition_is_published_and_read_back_as_it_was_written(stage: Stage) -> None:
    answer = await stage.ask("PUT", PATH, GOOD.encode(), content_type="text/yaml")
    assert answer.status == 200
    published = answer.json()
    assert (published["process"], published["version"], published["warnings"]) == ("other", 1, [])
    shown = (await stage.ask("GET", PATH)).json()
    assert shown["text"] == GOOD
    assert (shown["format"], shown["title"], shown["steps"]) == ("yaml", "Another", ["one"])
    assert shown["hash"] == published["hash"]


async def test_json_is_published_too_and_versions_stay(stage: Stage) -> None:
    await stage.ask("PUT", PATH, GOOD.encode(), content_type="application/yaml")
    text = json.dumps({"process": "other", "steps": [{"id": "two", "module": "echo"}]})
    answer = await stage.ask("PUT", PATH, text.encode())
    assert answer.json()["version"] == 2
    assert (await stage.ask("GET", PATH)).json()["text"] == text
    assert (await stage.ask("GET", f"{PATH}?version=1")).json()["text"] == GOOD
    assert (await stage.ask("GET", f"{PATH}?version=3")).status == 404
    assert (await stage.ask("GET", f"{PATH}?version=0")).status == 400
    assert (await stage.ask("GET", f"{PATH}?version=99999999999999")).status == 400


async def test_the_same_text_again_makes_no_new_version(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.ask("PUT", PATH, GOOD.encode(), content_type="text/yaml")
        assert answer.json()["version"] == 1


async def test_new_requests_go_through_the_new_version(stage: Stage) -> None:
    text = "process: lead\nsteps:\n  - {id: only, module: echo}\n"
    answer = await stage.ask("PUT", "/api/v1/processes/lead", text.encode(),
                             content_type="text/yaml; charset=utf-8")  # fmt: skip
    assert answer.json()["version"] == 2
    run = (await stage.send("form", {})).json()["run"]
    assert (await stage.at_rest(run, "completed"))["path"] == ["only"]


async def test_a_broken_definition_is_refused_whole_with_every_place(stage: Stage) -> None:
    text = LEAD.replace("module: judge", "module: juge").replace("next: [tell]", "next: [tel]")
    answer = await stage.ask("PUT", "/api/v1/processes/lead", text.encode(),
                             content_type="text/yaml")  # fmt: skip
    assert answer.status == 422
    problem = answer.json()
    assert len(problem["findings"]) == 2
    for finding in problem["findings"]:
        assert finding["file"] == "lead.yaml"
        assert finding["line"] == 6
        assert finding["column"] > 1
        assert "Did you mean" in finding["suggestion"]
    assert (await stage.ask("GET", "/api/v1/processes/lead")).json()["text"] == LEAD


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "text/yaml", 422),
        (b"\xff", "text/yaml", 400),
        (b"{", "application/json", 422),
        (b"a: &x 1\nb: *x\n", "text/yaml", 422),
        (b"[" * 100_000, "text/yaml", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"x", "text/plain", 415),
        (b"x", "application/x-php", 415),
        (b"x", None, 415),
    ],
)
async def test_what_is_no_definition_is_told(
    stage: Stage, body: bytes, content_type: str | None, status: int
) -> None:
    headers = [] if content_type is None else [("Content-Type", content_type)]
    answer = await stage.ask("PUT", PATH, body, content_type=None, headers=headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await stage.ask("GET", PATH)).status == 404


async def test_a_definition_past_its_limit_names_it(stage: Stage) -> None:
    body = b"#" * (stage.hub.limits.definition_bytes + 1)
    answer = await stage.ask("PUT", PATH, body, content_type="text/yaml")
    assert answer.status == 413
    assert "definition_bytes" in answer.json()["detail"]


async def test_more_findings_than_are_told_are_counted(stage: Stage) -> None:
    most = stage.hub.limits.told_findings
    steps = "".join(f"  - {{id: s{n}, module: gone}}\n" for n in range(most + 5))
    text = f"process: other\nsteps:\n{steps}"
    answer = await stage.ask("PUT", PATH, text.encode(), content_type="text/yaml")
    problem = answer.json()
    assert len(problem["findings"]) == most
    assert f"{most:,} are told (limit told_findings)" in problem["detail"]


@pytest.mark.parametrize("name", ["Lead x", "..", "a%2Fb", "\u202e", "x" * 5_000, "-"])
async def test_a_definition_under_an_odd_name_is_refused(stage: Stage, name: str) -> None:
    text = GOOD.replace("other", name)
    answer = await stage.ask("PUT", f"/api/v1/processes/{name}", text.encode(),
                             content_type="text/yaml")  # fmt: skip
    assert answer.status == 422


async def test_processes_are_listed_and_unusable_ones_say_why(stage: Stage) -> None:
    await stage.store.publish("broken", "yaml", "process: broken\nsteps: 5\n", 0)
    listed = (await stage.ask("GET", "/api/v1/processes")).json()["processes"]
    assert [one["process"] for one in listed] == ["broken", "lead"]
    assert "steps must be a list" in listed[0]["unusable"]
    assert listed[1]["unusable"] == ""
    assert listed[1]["title"] == "A lead"
    shown = (await stage.ask("GET", "/api/v1/processes/broken")).json()
    assert "steps must be a list" in shown["unusable"]
