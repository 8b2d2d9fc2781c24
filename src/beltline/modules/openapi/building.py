"""Operations of an OpenAPI document as modules, which send as `http-request` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import jsonschema_rs
import msgspec

from beltline.modules.http_request import HttpRequestConfig, HttpRequestOutput, send
from beltline.modules.openapi.reading import (
    BadDocument,
    Body,
    Operation,
    Operations,
    followed,
    read_operations,
)
from beltline.sdk import Config, Context, Example, Module, Reject, Retry, field

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_TOLD = 5  # mistakes of a body in one reason
_TYPES: dict[str, Any] = {"integer": int | str, "number": float | str, "boolean": bool | str}
_EXAMPLES = {"integer": 1, "number": 1.5, "boolean": True, "array": []}


def modules_of(file: Path, name: str) -> list[Module[Any, Any]]:
    """A module for each operation of the document in `file`, as JSON, named `name.operation`.
    Raises `BadDocument`.
    """
    document = msgspec.json.decode(file.read_bytes())
    return built(document, read_operations(document), name)


def built(document: dict[str, Any], found: Operations, name: str) -> list[Module[Any, Any]]:
    """The modules of operations that were read from the document."""
    return [_module(document, found, one, name) for one in found.operations]


def _module(
    document: dict[str, Any], found: Operations, operation: Operation, name: str
) -> Module[Any, Any]:
    is_repeatable = operation.method in _REPEATABLE
    about = (
        f"`{operation.method} {operation.path}` of {found.title} {found.version}, below the address"
        " of the connection. Answers are sorted as in `http-request`."
    )
    return Module(
        name=f"{name}.{operation.name}",
        version=1,
        summary=operation.summary,
        description=f"{operation.description} {about}".strip(),
        category="http",
        icon="globe",
        effect="idempotent" if is_repeatable else "at-least-once",
        on_repeat="It sends the request again, as HTTP allows for this method."
        if is_repeatable
        else "It sends the request again with the same `Idempotency-Key`, which the service has to"
        " look at.",
        connection="http",
        config=_config(document, operation),
        output=HttpRequestOutput,
        handler=_handler(operation, _body_check(document, operation.body)),
        examples=(Example("With what it needs", _example(document, operation)),),
    )


def _config(document: dict[str, Any], operation: Operation) -> type[Config]:
    """The parameters as a Struct. Their names may be none of Python, so it has names of its own."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, one in enumerate(operation.parameters):
        names[f"parameter_{number}"] = one.name
        kind: Any = Annotated[
            _type(one.schema) if one.is_required else _type(one.schema) | None,
            field(one.name, one.description),
        ]
        fields.append((f"parameter_{number}", kind, *(() if one.is_required else (None,))))
    body = operation.body
    if body is not None:
        about = f"{body.description}{_members(document, body)}"
        kind = Annotated[Any, field("Body", about)]
        fields.append(("body", kind, *(() if body.is_required else (None,))))
    title = "".join(part.capitalize() for part in operation.name.split("-"))
    made: Any = msgspec.defstruct(
        f"{title}Config",
        fields,
        bases=(Config,),
        namespace={"__doc__": f"What {operation.method} {operation.path} takes."},
        kw_only=True,
        rename=lambda attribute: names.get(attribute, attribute),
    )
    config: type[Config] = made
    return config


def _type(schema: dict[str, Any]) -> Any:
    """The type of a parameter. Numbers may be texts, as which they are sent anyway."""
    choices = schema.get("enum")
    if choices and all(isinstance(one, str) for one in choices):
        return Literal[tuple(choices)]
    if schema.get("type") == "array":
        return list[_type(schema.get("items") or {})]  # type: ignore[misc]  # made at run time
    return _TYPES.get(str(schema.get("type")), str | int | float | bool)


def _members(document: dict[str, Any], body: Body) -> str:
    """What people read of the members of a body."""
    schema = followed(document, body.schema)
    members = schema.get("properties") or {}
    if not members:
        return ""
    needed = schema.get("required") or ()
    shown = (f"`{name}`{' (needed)' if name in needed else ''}" for name in members)
    return f" It has {', '.join(shown)}."


def _example(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Parameters as the document gives them in its examples, or made up."""
    given: dict[str, Any] = {}
    for one in operation.parameters:
        if one.is_required:
            choices = one.schema.get("enum") or [one.schema.get("example")]
            usual = _EXAMPLES.get(str(one.schema.get("type")), "text")
            given[one.name] = usual if choices[0] is None else choices[0]
    if operation.body is not None and operation.body.is_required:
        schema = followed(document, operation.body.schema)
        given["body"] = schema.get("example", {})
    return given


def _body_check(document: dict[str, Any], body: Body | None) -> Callable[[Any], str] | None:
    """What is wrong with a body, in words; "" for nothing."""
    if body is None or not body.schema:
        return None
    whole = {"components": document.get("components") or {}, **body.schema}
    is_old = str(document.get("openapi")).startswith("3.0")
    schema = _modern(whole) if is_old else whole
    try:
        _validator(schema, None)  # for the words about a schema that is wrong
        # What is sent belongs to its sender, and not into a message.
        validator = _validator(schema, "the value")
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as wrong:
        said = str(wrong).partition("\n")[0][:300]
        raise BadDocument(f"a schema of a body is wrong: {said}") from wrong

    def check(value: Any) -> str:
        wrong = [
            f"{'.'.join(map(str, ('body', *error.instance_path)))}: {error.message}"
            for _, error in zip(range(_TOLD), validator.iter_errors(value), strict=False)
        ]
        return "; ".join(wrong)[:1_000]

    return check


def _validator(schema: dict[str, Any], mask: str | None) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        mask=mask,
        pattern_options=jsonschema_rs.RegexOptions(),  # linear in time
        offline=True,
    )


def _modern(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema 2020-12."""
    if isinstance(schema, list):
        return [_modern(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _modern(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(key), bool):
            is_strict = made.pop(key)
            if is_strict and bound in made:
                made[key] = made.pop(bound)
    return made


def _handler(
    operation: Operation, check: Callable[[Any], str] | None
) -> Callable[[Any, Context], Any]:
    async def call(config: Any, context: Context) -> HttpRequestOutput | Retry | Reject:
        """Checks the body, and sends the request."""
        given = msgspec.to_builtins(config)
        body = given.get("body") if operation.body is not None else None
        if check is not None and body is not None:
            wrong = check(body)
            if wrong:
                return Reject(f"what is sent does not fit the document: {wrong}")
        try:
            request = _request(operation, given, body)
        except ValueError as wrong:
            return Reject(str(wrong))
        return await send(request, context)

    return call


def _request(operation: Operation, given: dict[str, Any], body: Any) -> HttpRequestConfig:
    """What `http-request` is to send. Raises `ValueError`."""
    path = operation.path
    query: dict[str, Any] = {}
    headers: dict[str, str] = {"Accept": "application/json"}
    for one in operation.parameters:
        value = given.get(one.name)
        if value is None:
            continue
        if one.place == "query":
            query[one.name] = value if isinstance(value, list) and one.explode else _text(value)
        elif one.place == "header":
            headers[one.name] = _text(value)
        else:
            text = _text(value)
            if not text:
                raise ValueError(f"`{one.name}` is empty, and is a part of the address")
            path = path.replace(f"{{{one.name}}}", quote(text, safe=""))
    return HttpRequestConfig(
        url=path.lstrip("/"),
        method=operation.method,  # type: ignore[arg-type]  # one of its methods
        query=query,
        headers=headers,
        json=body if operation.body is None or operation.body.kind == "json" else None,
        form=body if operation.body is not None and operation.body.kind == "form" else None,
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


__all__ = ["built", "modules_of"]
