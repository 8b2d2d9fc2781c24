"""The description of the API agrees with the API."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

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
    described = await description(stage)
    run = (await stage.send("form", {"verdict": "bad"})).json()["run"]
    await stage.at_rest(run, "stopped")
    for method, path, template in (
        ("GET", "/healthz", None),
        ("GET", "/api/v1/runs", None),
        ("GET", f"/api/v1/runs/{run}", "/api/v1/runs/{id}"),
        ("GET", "/api/v1/dead-letters", None),
        ("GET", "/api/v1/processes", None),
        ("GET", "/api/v1/processes/lead", "/api/v1/processes/{name}"),
        ("GET", "/api/v1/sources", None),
        ("GET", "/api/v1/buffers", None),
        ("GET", "/api/v1/modules", None),
        ("GET", "/api/v1/connections", None),
        ("POST", f"/api/v1/runs/{run}/cancel", "/api/v1/runs/{id}/cancel"),
        ("POST", "/api/v1/buffers/form/pause", "/api/v1/buffers/{source}/pause"),
        ("GET", "/api/v1/runs/unknown", "/api/v1/runs/{id}"),
        ("GET", "/api/v1/runs?limit=0", "/api/v1/runs"),
    ):
        answer = await stage.ask(method, path)
        told = described["paths"][template or path][method.lower()]["responses"]
        content = told[str(answer.status)]["content"][answer.headers["content-type"]]
        schema = {**content["schema"], "components": described["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
