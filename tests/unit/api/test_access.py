"""Who may do what: every operation times every role, generated from the route table itself."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.api.access import Role
from beltline.api.app import PermissionUndeclared, create_app
from beltline.api.openapi import PATH
from beltline.api.operation import Call, Endpoint, Nothing, Operation, operation
from beltline.api.routes import ROUTES
from beltline.api.tokens import new_token
from tests.unit.api.calling import call
from tests.unit.api.stage import NOW, Stage

# What each operation is meant to need. A new route without a row here fails the test below.
NEEDS = {
    "GET /healthz": Role.PUBLIC,
    "GET /api/v1/secrets": Role.EDITOR,
    "PUT /api/v1/secrets/{name}": Role.ADMIN,
    "DELETE /api/v1/secrets/{name}": Role.ADMIN,
    "GET /readyz": Role.PUBLIC,
    "GET /metrics": Role.VIEWER,
    "GET /api/v1/runs": Role.VIEWER,
    "GET /api/v1/runs/{id}": Role.VIEWER,
    "POST /api/v1/runs/{id}/retry": Role.OPERATOR,
    "POST /api/v1/runs/{id}/skip": Role.OPERATOR,
    "POST /api/v1/runs/{id}/goto": Role.OPERATOR,
    "POST /api/v1/runs/{id}/cancel": Role.OPERATOR,
    "POST /api/v1/events/answers": Role.PUBLIC,  # its address is signed
    "GET /api/v1/dead-letters": Role.VIEWER,
    "POST /api/v1/dead-letters/retry": Role.OPERATOR,
    "POST /api/v1/dead-letters/skip": Role.OPERATOR,
    "POST /api/v1/dead-letters/cancel": Role.OPERATOR,
    "GET /api/v1/processes": Role.VIEWER,
    "GET /api/v1/processes/{name}": Role.VIEWER,
    "PUT /api/v1/processes/{name}": Role.EDITOR,
    "GET /api/v1/sources": Role.VIEWER,
    "GET /api/v1/requests": Role.VIEWER,
    "GET /api/v1/requests/{id}": Role.VIEWER,
    "POST /api/v1/requests/{id}/accept": Role.OPERATOR,
    "POST /api/v1/sources/{source}/run-now": Role.OPERATOR,
    "GET /api/v1/buffers": Role.VIEWER,
    "POST /api/v1/buffers/{source}/pause": Role.OPERATOR,
    "POST /api/v1/buffers/{source}/resume": Role.OPERATOR,
    "GET /api/v1/buffers/{source}/requests": Role.VIEWER,
    "POST /api/v1/buffers/{source}/release": Role.OPERATOR,
    "POST /api/v1/buffers/{source}/drop": Role.OPERATOR,
    "POST /api/v1/buffers/{source}/order": Role.OPERATOR,
    "GET /api/v1/blobs/{id}": Role.VIEWER,
    "GET /api/v1/modules": Role.VIEWER,
    "GET /api/v1/modules/{name}": Role.VIEWER,
    "GET /api/v1/connections": Role.VIEWER,
    "POST /api/v1/connections/{name}/close-breaker": Role.OPERATOR,
    "POST /api/v1/connections/{name}/test": Role.OPERATOR,
}
ENDPOINTS = {f"{endpoint.method} {endpoint.path}": endpoint for endpoint in ROUTES}


def test_every_route_stands_in_the_matrix_with_its_permission() -> None:
    assert {name: one.operation.needs for name, one in ENDPOINTS.items()} == NEEDS


@pytest.mark.parametrize("role", [None, "viewer", "operator", "editor", "admin"])
@pytest.mark.parametrize("name", NEEDS)
async def test_the_matrix(stage: Stage, name: str, role: str | None) -> None:
    method, path = name.split(" ")
    for braces in ("{id}", "{name}", "{source}"):
        path = path.replace(braces, "nothing-of-this-name")
    answer = await stage.ask(method, path, role=role)
    has = Role.PUBLIC if role is None else Role[role.upper()]
    if has >= NEEDS[name]:
        assert answer.status not in (401, 403)
        assert answer.status < 500
    else:
        assert answer.status == (401 if role is None else 403)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_token_there_is_a_challenge_and_no_hint_of_what_there_is(
    stage: Stage,
) -> None:
    answer = await stage.ask("GET", "/api/v1/runs/nothing", role=None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="beltline"'


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer x", "Basic {admin}", "{admin}",
                                   "Bearer {admin}x", "Bearer {admin} {admin}"])  # fmt: skip
async def test_other_headers_are_no_token(stage: Stage, value: str) -> None:
    sent = [("Authorization", value.replace("{admin}", stage.tokens["admin"]))]
    answer = await stage.ask("GET", "/api/v1/runs", role=None, headers=sent)
    assert answer.status == 401
    assert stage.tokens["admin"] not in answer.body.decode()


async def test_two_tokens_are_no_token(stage: Stage) -> None:
    sent = [("Authorization", f"Bearer {stage.tokens['viewer']}")]
    answer = await stage.ask("GET", "/api/v1/runs", role="admin", headers=sent)
    assert answer.status == 400


async def test_the_hash_of_a_token_is_no_token(stage: Stage) -> None:
    for record in await stage.store.tokens():
        sent = [("Authorization", f"Bearer {record.hash.hex()}")]
        assert (await stage.ask("GET", "/api/v1/runs", role=None, headers=sent)).status == 401


async def test_a_token_made_by_another_program_soon_holds(stage: Stage) -> None:
    assert (await stage.ask("GET", "/api/v1/runs")).status == 200
    stage.tokens["late"], record = new_token("viewer", "late", NOW)
    await stage.store.put_token(record)
    stage.clock.time += 200
    assert (await stage.ask("GET", "/api/v1/runs", role="late")).status == 200


async def test_a_token_whose_role_is_unknown_may_do_nothing(stage: Stage) -> None:
    stage.tokens["odd"], record = new_token("viewer", "odd", NOW)
    await stage.store.put_token(type(record)(record.hash, "public", "odd", NOW))
    assert (await stage.ask("GET", "/api/v1/runs", role="odd")).status == 401


def test_an_operation_must_declare_what_it_needs() -> None:
    async def bare(call: Call[Nothing, Nothing]) -> None:
        """Declares nothing."""

    with pytest.raises(TypeError, match="needs"):
        operation(answer=None)(bare)


async def test_a_route_without_a_permission_is_not_served(stage: Stage) -> None:
    async def bare(call: Call[Nothing, Nothing]) -> None:
        """Declares nothing."""

    undeclared: Any = bare
    for handler in (undeclared, Operation(bare, needs=None)):  # type: ignore[arg-type]
        with pytest.raises(PermissionUndeclared, match="GET /bare"):
            create_app(stage.hub, (*ROUTES, Endpoint("GET", "/bare", handler)))


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/runs/", "/api/v1/nothing", "/API/V1/runs",
     "/api/v1/runs/x/y", "/api/v1//runs", "/in", "/static/../api/v1/runs", "/api/v1/processes/a/b",
     "/healthz/", "/metrics/configs", "/api/v1/runs/%2e%2e/healthz"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_addresses_that_are_not_in_the_table_are_told(
    stage: Stage, method: str, path: str
) -> None:
    answer = await stage.ask(method, path, role=None)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/runs", "/api/v1/processes/lead", PATH])
async def test_other_methods_are_told_the_right_ones(stage: Stage, path: str) -> None:
    answer = await stage.ask("DELETE", path)
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]
    if path.endswith("lead"):
        assert answer.headers["allow"] == "GET, HEAD, PUT"


async def test_what_nobody_foresaw_is_told_without_details(stage: Stage) -> None:
    @operation(needs=Role.PUBLIC)
    async def broken(call: Call[Nothing, Nothing]) -> None:
        """Fails."""
        raise RuntimeError("canary")

    app = create_app(stage.hub, (*ROUTES, Endpoint("GET", "/broken", broken)))
    answer = await call(app, "GET", "/broken")
    assert answer is not None
    assert answer.status == 500
    assert answer.json()["must_act"] == "operator"
    assert b"canary" not in answer.body
