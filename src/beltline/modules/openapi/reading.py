"""An OpenAPI document (3.0 or 3.1) -> its operations, and those that cannot be called, with why.

References are followed within the document and nowhere else: nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
# They are the business of the client and of the connection, as the specification has it.
_OWN_HEADERS = frozenset(("accept", "content-type", "authorization"))
_BODIES = {"application/json": "json", "application/x-www-form-urlencoded": "form"}
_REFERENCES = 50  # in a row; more is a circle


class BadDocument(Exception):
    """The author: this is no OpenAPI document that can be read. The text says why."""


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the path, the query or the headers; a list that does not `explode` is written
    with commas.
    """

    name: str
    place: Literal["path", "query", "header"]
    is_required: bool
    description: str
    schema: dict[str, Any]
    explode: bool


class Body(msgspec.Struct, frozen=True):
    """What is sent: as JSON, or as a form."""

    kind: Literal["json", "form"]
    is_required: bool
    description: str
    schema: dict[str, Any]


class Operation(msgspec.Struct, frozen=True):
    """One operation; `path` has its parameters in braces."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    body: Body | None


class Operations(msgspec.Struct, frozen=True):
    """What a document holds. `left_out` tells why of each operation that cannot be called."""

    title: str
    version: str
    server: str
    operations: tuple[Operation, ...]
    left_out: dict[str, str]


class _Unfit(Exception):
    """An operation that cannot be called as the document has it."""


def read_operations(document: Any) -> Operations:
    """The operations, in the order of the document. Raises `BadDocument`."""
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise BadDocument("this is no OpenAPI document of version 3 (`openapi: 3.…`)")
    paths = document.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise BadDocument("the document has no `paths`")
    found: dict[str, Operation] = {}
    left_out: dict[str, str] = {}
    for method, path, item, data in _all(document, paths):
        where = f"{method.upper()} {path}"
        try:
            operation = _operation(document, method, path, item, data)
        except _Unfit as reason:
            left_out[where] = str(reason)
            continue
        if operation.name in found:
            left_out[where] = f"its name {operation.name!r} is also that of another operation"
        else:
            found[operation.name] = operation
    about = document.get("info") or {}
    servers = document.get("servers") or [{}]
    return Operations(
        title=str(about.get("title", "")),
        version=str(about.get("version", "")),
        server=str(servers[0].get("url", "")),
        operations=tuple(found.values()),
        left_out=left_out,
    )


def _all(
    document: dict[str, Any], paths: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for path, given in paths.items():
        item = followed(document, given)
        for method in _METHODS:
            if isinstance(item, dict) and isinstance(item.get(method), dict):
                yield method, path, item, item[method]


def followed(document: dict[str, Any], value: Any) -> Any:
    """What a value refers to, or itself. Raises `BadDocument`."""
    for _ in range(_REFERENCES):
        if not isinstance(value, dict) or "$ref" not in value:
            return value
        reference = str(value["$ref"])
        if not reference.startswith("#/"):
            raise BadDocument(
                f"the reference {reference[:100]!r} leads out of the document: put all into one"
            )
        value = document
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or key not in value:
                raise BadDocument(f"the reference {reference[:100]!r} leads to nothing")
            value = value[key]
    raise BadDocument("a reference leads to itself")


def _operation(
    document: dict[str, Any], method: str, path: str, item: dict[str, Any], data: dict[str, Any]
) -> Operation:
    parameters = tuple(_parameters(document, item, data))
    body = _body(document, data.get("requestBody"))
    names = [parameter.name for parameter in parameters] + (["body"] if body else [])
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _Unfit(f"two of its parameters are named {twice!r}")
    in_path = {one.name for one in parameters if one.place == "path"}
    if set(re.findall(r"\{([^{}]*)\}", path)) != in_path:
        raise _Unfit("the parameters of its path are not those that it declares")
    summary = str(data.get("summary") or data.get("operationId") or f"{method.upper()} {path}")
    return Operation(
        name=_name(str(data.get("operationId") or f"{method} {path}")),
        method=method.upper(),
        path=path,
        summary=_sentence(summary),
        description=_sentence(str(data.get("description") or "")),
        parameters=parameters,
        body=body,
    )


def _parameters(
    document: dict[str, Any], item: dict[str, Any], data: dict[str, Any]
) -> Iterator[Parameter]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for given in (*(item.get("parameters") or ()), *(data.get("parameters") or ())):
        one = followed(document, given)
        merged[str(one.get("name")), str(one.get("in"))] = one
    for (name, place), one in merged.items():
        if place == "header" and name.lower() in _OWN_HEADERS:
            continue
        schema = followed(document, one.get("schema") or {})
        is_list = schema.get("type") == "array"
        usual = {"path": "simple", "header": "simple", "query": "form"}.get(place)
        style = one.get("style", usual)
        if usual is None or style != usual or "content" in one or schema.get("type") == "object":
            if one.get("required"):
                raise _Unfit(f"its parameter {name!r} is written in a way that is not known here")
            continue
        yield Parameter(
            name=name,
            place=place,  # type: ignore[arg-type]  # one of the three, since it has a usual style
            is_required=bool(one.get("required")),
            description=_sentence(str(one.get("description") or f"The {place} parameter {name}")),
            schema={**schema, "items": followed(document, schema.get("items"))}
            if is_list
            else schema,
            explode=bool(one.get("explode", style == "form")),
        )


def _body(document: dict[str, Any], given: Any) -> Body | None:
    data = followed(document, given)
    if not isinstance(data, dict):
        return None
    content = data.get("content") or {}
    for media, kind in _BODIES.items():
        for name, about in content.items():
            if name.partition(";")[0].strip().lower() == media:
                return Body(
                    kind=kind,  # type: ignore[arg-type]  # one of the two
                    is_required=bool(data.get("required")),
                    description=_sentence(str(data.get("description") or "What is sent")),
                    schema=about.get("schema") or {},
                )
    if data.get("required"):
        raise _Unfit(f"it takes no JSON and no form, but {', '.join(content) or 'nothing'}")
    return None


def _name(text: str) -> str:
    """`listPets` and `GET /pets/{id}` as names of modules: `list-pets`, `get-pets-id`."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", text)
    name = re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")
    if not name or not name[0].isalpha():
        raise _Unfit(f"no name can be made of {text[:100]!r}: give it an `operationId`")
    return name


def _sentence(text: str) -> str:
    whole = " ".join(text.split())
    return whole if not whole or whole.endswith((".", "!", "?")) else f"{whole}."
