"""The declaration of a module as JSON: for the API, the forms of the UI and the reference pages."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from beltline.catalog.asyncapi import asyncapi_document
from beltline.engine.answer_event import answer_event_schema
from beltline.engine.contract import schemas
from beltline.sdk import Module

_TEMPLATE = "#/$defs/{name}"


def config_schema(module: Module[Any, Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the parameters, complete in itself."""
    return _schema(module.config)


def output_schema(module: Module[Any, Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the result, complete in itself."""
    return _schema(module.output)


def module_schema(module: Module[Any, Any]) -> dict[str, Any]:
    """All of a module that can be shown, as plain JSON data.

    `{name, version, summary, description, category, icon, effect, on_repeat, connection, engine,
    config, output, examples}`: `engine` holds for a step that the hub itself runs, `config` and
    `output` are JSON Schemas, an example is `{title, with, result}`, its result null where it
    depends on the outside.
    """
    return {
        "name": module.name,
        "version": module.version,
        "summary": module.summary,
        "description": module.description,
        "category": module.category,
        "icon": module.icon,
        "effect": module.effect,
        "on_repeat": module.on_repeat,
        "connection": module.connection,
        "engine": module.handler is None,
        "config": config_schema(module),
        "output": output_schema(module),
        "examples": [
            {"title": example.title, "with": example.config, "result": example.output}
            for example in module.examples
        ],
    }


def contract_files() -> dict[str, str]:
    """The contract of workers as files: JSON Schemas of the event, of its answer, and of the event
    that answers by a queue, and `asyncapi.json`, which has the two events with their places.
    """
    documents = {f"{name}.schema.json": schema for name, schema in schemas().items()}
    documents["answer-event.schema.json"] = answer_event_schema()
    documents["asyncapi.json"] = asyncapi_document()
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)
    # The type itself stands at the top, as forms want it; only what it refers to is apart.
    if set(schema) == {"$ref"}:
        name = schema["$ref"].rpartition("/")[2]
        if not _refers_to(components, schema["$ref"]):
            schema = components.pop(name)
    if components:
        schema = {**schema, "$defs": components}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    # Through JSON, since a default may be a tuple, and the schema's users compare plain data.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
    return plain


def _refers_to(value: Any, ref: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == ref or any(_refers_to(one, ref) for one in value.values())
    return isinstance(value, list) and any(_refers_to(one, ref) for one in value)
