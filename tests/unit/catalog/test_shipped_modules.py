"""Every module that comes with the hub, held to the rules of a declaration."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from beltline.catalog.catalog import Catalog
from beltline.catalog.reference import reference_pages
from beltline.catalog.schema import config_schema, module_schema, output_schema
from beltline.sdk import Example, Module
from beltline.sdk.testing import answer, given
from tests.unit.catalog.shipped import FOLDER, SHIPPED

ROOT = FOLDER.parents[2]
CATALOG = Catalog(SHIPPED.values())
EXAMPLES = [(module, example) for module in SHIPPED.values() for example in module.examples]
COMPARED = [
    (module, example)
    for module, example in EXAMPLES
    if example.output is not None and module.handler is not None
]


def name_of(value: object) -> str | None:
    if isinstance(value, Module):
        return value.name
    return value.title if isinstance(value, Example) else None


each_module = pytest.mark.parametrize("module", SHIPPED.values(), ids=name_of)


def properties(module: Module[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for schema in (config_schema(module), output_schema(module)):
        for part in (schema, *schema.get("$defs", {}).values()):
            yield from part.get("properties", {}).items()


def test_the_issue_s_modules_are_there() -> None:
    assert set(CATALOG.names()) == {
        *("set", "map", "log", "remember", "recall", "forget", "http-request", "wait", "stop"),
        *("csv.read", "csv.write", "json.build", "json.parse", "xlsx.read", "xlsx.write"),
        *("xml.build", "xml.parse", "dedupe", "email", "phone"),
        *("sql.execute", "sql.query", "sql.upsert"),
        *(f"amocrm.find-{kind}" for kind in ("lead", "contact", "company")),
        *(f"amocrm.add-{kind}" for kind in ("lead", "contact", "company", "note", "task")),
        *(f"amocrm.update-{kind}" for kind in ("lead", "contact", "company")),
        *(f"bitrix24.find-{kind}" for kind in ("lead", "deal", "contact", "company", "item")),
        *(f"bitrix24.get-{kind}" for kind in ("lead", "deal", "contact", "company", "item")),
        *(f"bitrix24.add-{kind}" for kind in ("lead", "deal", "contact", "company", "item")),
        *(f"bitrix24.update-{kind}" for kind in ("lead", "deal", "contact", "company", "item")),
        *(f"bitrix24.list-{kinds}" for kinds in ("leads", "deals", "contacts", "companies")),
        *("bitrix24.list-items", "bitrix24.find-duplicates", "bitrix24.batch", "bitrix24.call"),
        *("bitrix24.add-comment", "bitrix24.add-activity", "bitrix24.add-task"),
        "bitrix24.notify",
        *("onec.create", "onec.post", "onec.read", "onec.update"),
        *("mail.send", "webhook-send"),
        *("publish.kafka", "publish.mqtt", "publish.nats", "publish.rabbitmq", "publish.redis"),
    }


def test_a_file_bears_the_name_of_its_module() -> None:
    """Of several in one file, its name and what it is about: `get:lead` is `get-lead`."""
    assert {place: module.name for place, module in SHIPPED.items()} == {
        place: place.replace("_", "-").replace(":", "-") for place in SHIPPED
    }


def test_the_entry_points_are_the_files() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["beltline.modules"] == {
        module.name: f"beltline.modules.{place}{'' if ':' in place else ':module'}"
        for place, module in SHIPPED.items()
    }


@each_module
def test_a_declaration_is_complete(module: Module[Any, Any]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", module.icon)
    assert module.summary.endswith(".")
    assert not module.description or module.description.endswith(".")
    assert module.on_repeat.endswith(".") or module.effect == "pure"
    assert module.examples
    assert len({example.title for example in module.examples}) == len(module.examples)
    for part in (module.config, module.output, inspect.getmodule(module.handler)):
        assert part is None or inspect.getdoc(part)


@each_module
def test_every_field_is_described(module: Module[Any, Any]) -> None:
    for name, about in properties(module):
        assert about.get("title"), f"{module.name}: {name} has no title"
        assert about.get("description", "").endswith("."), f"{module.name}: {name}"


@each_module
def test_only_modules_that_await_nothing_outside_are_pure(module: Module[Any, Any]) -> None:
    if module.effect == "pure":
        assert module.connection is None
        uses = inspect.getsource(module.handler) if module.handler else ""
        assert "context." not in uses


@pytest.mark.parametrize(("module", "example"), EXAMPLES, ids=name_of)
def test_an_example_passes_the_check(module: Module[Any, Any], example: Example) -> None:
    entry = CATALOG.find(module.name)
    assert entry is not None
    assert entry.check(example.config, ()) == []
    invocation = CATALOG.invocation(module.pinned)
    assert invocation is not None
    invocation.decode(example.config)


@pytest.mark.parametrize(("module", "example"), COMPARED, ids=name_of)
async def test_an_example_gives_its_result(module: Module[Any, Any], example: Example) -> None:
    assert await answer(module, example.config, given()) == example.output


@each_module
def test_examples_written_in_descriptions_pass_the_check(module: Module[Any, Any]) -> None:
    """What a form offers as an example of a field must be a value that the field takes."""
    entry = CATALOG.find(module.name)
    assert entry is not None
    for name, about in config_schema(module).get("properties", {}).items():
        for shown in about.get("examples", ()):
            problems = [found for found in entry.check({name: shown}, ()) if found.place]
            assert problems == [], f"{module.name}: {name}"


@each_module
def test_a_description_is_plain_data(module: Module[Any, Any]) -> None:
    described = module_schema(module)
    assert msgspec.json.decode(msgspec.json.encode(described)) == described
    assert described["engine"] is (module.handler is None)


def test_the_reference_pages_are_fresh() -> None:
    folder = ROOT / "docs" / "reference" / "modules"
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert written == reference_pages(SHIPPED.values())
