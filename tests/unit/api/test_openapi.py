"""The description of the API agrees with the API."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from beltline.api.problem import ProblemView
from beltline.api.routes import ROUTES
from tests.unit.api.stage import Stage


async def description(stage: Stage) -> dict[str, Any]:
    answer = await stage.ask("GET", "/api/v1/openapi.json", role=None)
    assert answer.status == 200
    described: dict[str, Any] = answer.json()
    return described


async def test_every_operation_is_described_with_its_permission(stage: Stage) -> None:
    described = await description(stage)
    assert described["openapi"] == "3.1.0"
    for endpoint in ROUTES:
        one = described["paths"][endpoint.path][endpoint.method.lower()]
        assert one["operationId"] == endpoint.operation.name
        assert one["summary"].endswith(".")
        assert ("401" in one["responses"]) == bool(one["security"])
    ids = [one["operationId"] for item in described["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES) + 2


async def test_every_reference_leads_somewhere(stage: Stage) -> None:
    described = await description(stage)
    schemas = described["components"]["schemas"]
    pending: list[Any] = [described]
    references = 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                references += 1
                assert value["$ref"].removeprefix("#/components/schemas/") in schemas
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    assert references > 50


async def test_answers_are_what_is_described(stage: Stage) -> None:
    run = (await stage.send("form", {"verdict": "bad"})).json()["run"]
    await stage.at_rest(run, "stopped")
    by_name = {endpoint.operation.name: endpoint for endpoint in ROUTES}
    for name, path_name, body in (
        ("healthz", "", b""),
        ("list_runs", "", b""),
        ("show_run", run, b""),
        ("list_dead_letters", "", b""),
        ("list_processes", "", b""),
        ("show_process", "lead", b""),
        ("list_sources", "", b""),
        ("list_buffers", "", b""),
        ("list_modules", "", b""),
        ("list_connections", "", b""),
        ("retry_many", "", {"source": "other"}),
        ("cancel_run", run, {"reason": "x"}),
        ("pause_source", "form", b""),
        ("release_requests", "form", {"count": 1}),
        ("resume_source", "form", {}),
    ):
        endpoint = by_name[name]
        path = re.sub(r"\{\w+\}", path_name, endpoint.path)
        answer = await stage.ask(endpoint.method, path, body)
        assert answer.status == endpoint.operation.status
        assert answer.headers["content-type"] == endpoint.operation.media
        # Read as what is described and written again, nothing is missing and nothing was added.
        read = msgspec.json.decode(answer.body, type=endpoint.operation.answer)
        assert msgspec.json.encode(read) == answer.body


async def test_problems_are_what_is_described(stage: Stage) -> None:
    for path in ("/api/v1/runs/unknown", "/api/v1/runs?limit=0", "/nothing"):
        answer = await stage.ask("GET", path)
        read = msgspec.json.decode(answer.body, type=ProblemView)
        assert msgspec.json.encode(read) == answer.body
