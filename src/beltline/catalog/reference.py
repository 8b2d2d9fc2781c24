"""The reference pages of the modules, written from their declarations.

The functions give text and write nothing. A test holds the pages in `docs/reference/modules/`
against them, so that a page can never say other than the module does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from beltline.catalog.schema import config_schema, module_schema, output_schema
from beltline.sdk import Module

_EFFECTS = {
    "pure": "does nothing to the outside",
    "idempotent": "a repeated call has the effect of one",
    "at-least-once": "a repeated call may have a second effect",
}
_REPEATED = {
    "pure": "Gives the same result.",
    "idempotent": "Does nothing more.",
    "at-least-once": "May have a second effect.",
}
_BOUNDS = {
    "minimum": "at least {:,}",
    "maximum": "at most {:,}",
    "minLength": "at least {:,} characters",
    "maxLength": "at most {:,} characters",
    "minItems": "at least {:,} entries",
    "maxItems": "at most {:,} entries",
}
_CATEGORIES = {
    "data": "Data",
    "flow": "Flow",
    "memory": "Memory",
    "http": "HTTP",
    "crm": "CRM",
    "channel": "Channels",
    "queue": "Queues",
    "log": "Log",
    "site": "This site's own",
}
_WRITTEN = "<!-- Written from the module's declaration; a change here is lost. -->"
CATALOGUE = "catalogue.json"


def reference_pages(modules: Iterable[Module[Any, Any]]) -> dict[str, str]:
    """The text of each page by its file name: `NAME.md`, `README.md` with the list, and
    `catalogue.json` with all that there is to know, for programs.
    """
    newest = {one.name: one for one in sorted(modules, key=lambda one: (one.name, one.version))}
    pages = {f"{name}.md": page(module) for name, module in newest.items()}
    pages["README.md"] = _index(newest.values())
    described = [module_schema(module) for module in newest.values()]
    pages[CATALOGUE] = json.dumps(described, ensure_ascii=False, indent=1) + "\n"
    return pages


def page(module: Module[Any, Any]) -> str:
    """One module's page."""
    connection = f"of the kind `{module.connection}`" if module.connection else "none needed"
    facts = [
        f"| Version | {module.version} |",
        f"| Effect | {module.effect}: {_EFFECTS[module.effect]} |",
        f"| A repeated call | {module.on_repeat or _REPEATED[module.effect]} |",
        f"| Connection | {connection} |",
        f"| Run by | {'the engine itself' if module.handler is None else 'its handler'} |",
    ]
    if module.connection:
        facts.append(f"| Requests | {_requests(module)} |")
    parts = [
        f"# {module.name}",
        _WRITTEN,
        module.summary,
        module.description,
        "\n".join(["| | |", "|---|---|", *facts]),
        "## Parameters",
        _table(config_schema(module), "The parameters have any names and any values."),
        "## Result",
        _table(output_schema(module), "An object; its names are told above."),
        "## Examples",
        *(_example(module, index) for index in range(len(module.examples))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _requests(module: Module[Any, Any]) -> str:
    """What a call costs of its connection's limits."""
    single = "one a call" if module.requests == 1 else f"up to {module.requests} a call"
    if module.batch is None:
        return single
    return f"{single}; up to {module.batch_most} calls that wait go together in one"


def _table(schema: dict[str, Any], without: str) -> str:
    properties = schema.get("properties")
    if not properties:
        return without
    required = schema.get("required", ())
    rows = ["| name | type | default | meaning |", "|---|---|---|---|"]
    for name, about in properties.items():
        default = "" if "default" not in about else f"`{_json(about['default'])}`"
        if name in required and "default" not in about:
            default = "required" if schema.get("additionalProperties") is False else ""
        meaning = about.get("description", "")
        examples = about.get("examples")
        if examples:
            meaning += " For example " + ", ".join(f"`{_json(one)}`" for one in examples) + "."
        kind = ", ".join((_type(about), *_bounds(about)))
        rows.append(f"| `{name}` | {kind} | {_cell(default)} | {_cell(meaning)} |")
    return "\n".join(rows)


def _bounds(about: dict[str, Any]) -> Iterator[str]:
    """The bounds of a field in words."""
    for branch in (about, *about.get("anyOf", ())):
        for key, words in _BOUNDS.items():
            if key in branch:
                is_one = key in ("minLength", "minItems") and branch[key] == 1
                yield "not empty" if is_one else words.format(branch[key])
        if "constant" in branch:
            yield "written out"


def _type(about: dict[str, Any]) -> str:
    """A type in a word or two: what stands in the table's second column."""
    if "enum" in about:
        return _cell(", ".join(f"`{_text(choice)}`" for choice in about["enum"]))
    if "anyOf" in about:
        kinds = dict.fromkeys(_type(branch) for branch in about["anyOf"])
        return _cell(" or ".join(kind for kind in kinds if kind != "null"))
    match about.get("type"):
        case "string":
            return "text"
        case "integer":
            return "whole number"
        case "number":
            return "number"
        case "boolean":
            return "true or false"
        case "array":
            return f"list of {_type(about.get('items', {}))}"
        case "object":
            return "object"
        case "null":
            return "null"
        case _:
            return "any"


def _example(module: Module[Any, Any], index: int) -> str:
    example = module.examples[index]
    step: dict[str, Any] = {"id": f"example-{index + 1}", "module": module.name}
    if module.connection:
        step["connection"] = "crm" if module.category == "crm" else module.connection
    if example.config:
        step["with"] = example.config
    text = yaml.safe_dump([step], sort_keys=False, allow_unicode=True, width=90)
    parts = [f"### {example.title}", f"```yaml\n{text}```"]
    if example.output is not None:
        shown = json.dumps(example.output, ensure_ascii=False, indent=2)
        parts += ["gives", f"```json\n{shown}\n```"]
    return "\n\n".join(parts)


def _index(modules: Iterable[Module[Any, Any]]) -> str:
    parts = ["# Modules", _WRITTEN, "What comes with the hub, by category."]
    for category, title in _CATEGORIES.items():
        of_it = [module for module in modules if module.category == category]
        if of_it:
            rows = [f"- [{one.name}]({one.name}.md): {one.summary}" for one in of_it]
            parts += [f"## {title}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _json(value: Any) -> str:
    return (
        _text(value) if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    )


def _text(value: Any) -> str:
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
