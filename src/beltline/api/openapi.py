"""The API described in OpenAPI 3.1, from the same table that serves it, so that they agree."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from beltline import __version__
from beltline.api.access import Role
from beltline.api.answer import Answer
from beltline.api.operation import Call, Endpoint, Nothing, Operation, operation
from beltline.api.problem import ProblemView
from beltline.api.taken_in import TakenIn

PATH = "/api/v1/openapi.json"
_REF = "#/components/schemas/{name}"
_IN_BRACES = re.compile(r"\{(\w+)\}")
_INTAKE_PROBLEMS = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 503)


def openapi_endpoint(routes: tuple[Endpoint, ...]) -> Endpoint:
    """The operation that shows the description of `routes`, and of itself."""
    page = b""

    @operation(needs=Role.PUBLIC, answer=dict[str, Any])
    async def show_openapi(call: Call[Nothing, Nothing]) -> Answer:
        """Describes this API in OpenAPI 3.1."""
        return Answer(200, page)

    endpoint = Endpoint("GET", PATH, show_openapi)
    page = msgspec.json.encode(describe((*routes, endpoint)))
    return endpoint


def describe(routes: tuple[Endpoint, ...]) -> dict[str, Any]:
    """The OpenAPI document of the routes and of the intake, as plain data."""
    types: list[Any] = [ProblemView, TakenIn]
    for endpoint in routes:
        declared = endpoint.operation
        types += [one for one in (declared.query, declared.body, declared.answer) if one]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {"/in/{source}": {"post": _intake(schema_of)}}
    for endpoint in routes:
        item = paths.setdefault(endpoint.path, {})
        item[endpoint.method.lower()] = _operation(endpoint, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Beltline",
            "version": __version__,
            "description": "Requests come in, runs are watched and decided about.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token made by `beltline token create --role ROLE`.",
                }
            },
        },
    }


def _operation(
    endpoint: Endpoint, schema_of: dict[Any, Any], components: dict[str, Any]
) -> dict[str, Any]:
    declared = endpoint.operation
    needs = declared.needs
    described: dict[str, Any] = {
        "operationId": declared.name,
        "summary": declared.summary,
        "parameters": [
            *(_path_parameter(name) for name in _IN_BRACES.findall(endpoint.path)),
            *_query_parameters(schema_of[declared.query], components),
        ],
        "responses": {
            str(declared.status): _good_answer(declared, schema_of),
            **_problems(_problem_statuses(declared), schema_of),
        },
        "security": [] if needs is Role.PUBLIC else [{"token": []}],
    }
    if needs is not Role.PUBLIC:
        described["description"] = f"Needs the role {needs.name.lower()}."
        described["x-role"] = needs.name.lower()
    body = _request_body(declared, schema_of)
    if body is not None:
        described["requestBody"] = body
    return described


def _problem_statuses(declared: Operation) -> list[int]:
    statuses = {*declared.problems, 400, 405}  # a wrong query or header meets every operation
    if declared.needs is not Role.PUBLIC:
        statuses |= {401, 403}
    if declared.body is not None or declared.text_media:
        statuses |= {408, 413, 415}
    return sorted(statuses)


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    struct = components[schema["$ref"].rpartition("/")[2]]
    required = struct.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(about)}
        for name, about in struct["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which is left out where it has no value, and never null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if len(kinds) == 1:
        kept |= kinds[0]
    elif kinds:
        kept["anyOf"] = kinds
    if "enum" in kept:
        kept["enum"] = [one for one in kept["enum"] if one is not None]
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    return kept


def _request_body(declared: Operation, schema_of: dict[Any, Any]) -> dict[str, Any] | None:
    if declared.text_media:
        text = {"schema": {"type": "string"}}
        return {"required": True, "content": dict.fromkeys(declared.text_media, text)}
    if declared.body is None:
        return None
    required = any(field.required for field in msgspec.structs.fields(declared.body))
    content = {"application/json": {"schema": schema_of[declared.body]}}
    return {"required": required, "content": content}


def _good_answer(declared: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    schema = schema_of[declared.answer] if declared.answer else {"type": "string"}
    return {
        "description": HTTPStatus(declared.status).phrase,
        "content": {declared.media: {"schema": schema}},
    }


def _problems(statuses: list[int], schema_of: dict[Any, Any]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": schema_of[ProblemView]}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def _intake(schema_of: dict[Any, Any]) -> dict[str, Any]:
    """The intake has a route of its own; what a source asks of its senders is in its file."""
    form = {"type": "object", "additionalProperties": True}
    return {
        "operationId": "take_in",
        "summary": "Takes in a request; 202 once it is durable.",
        "description": "The sender is verified as the source's file says.",
        "parameters": [_path_parameter("source")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {}},
                "application/x-www-form-urlencoded": {"schema": form},
                "multipart/form-data": {"schema": form},
                "application/xml": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {
                "description": "Accepted, and its run is at rest: the sender waited for it.",
                "content": {"application/json": {"schema": schema_of[TakenIn]}},
            },
            "202": {
                "description": "Accepted, durable.",
                "content": {"application/json": {"schema": schema_of[TakenIn]}},
            },
            **_problems(list(_INTAKE_PROBLEMS), schema_of),
        },
        "security": [],
    }
