"""`beltline modules`: what steps can use, and the beginning of a module of one's own."""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from beltline.catalog.discovery import of_home
from beltline.catalog.reference import page, reference_pages
from beltline.catalog.schema import contract_files, module_schema
from beltline.cli.beginnings import IMPORTED, MODULE, TEST
from beltline.cli.console import HomeOption, JsonOption, fail, print_json, print_rows, say
from beltline.definition.reading import format_of, read_document
from beltline.definition.tree import Unreadable
from beltline.engine.contract import schemas
from beltline.home_files import read_home
from beltline.modules.openapi.building import built
from beltline.modules.openapi.reading import BadDocument, read_operations
from beltline.settings import open_home

app = typer.Typer(help="See the modules, and begin your own.", no_args_is_help=True)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@app.command("list")
def list_modules(home: HomeOption = Path(), as_json: JsonOption = False) -> None:
    """List all modules of a home, shipped ones and its own."""
    catalog = read_home(open_home(home)).catalog
    rows = [
        {
            "name": module.name,
            "version": module.version,
            "effect": module.effect,
            "connection": module.connection,
            "transport": "event" if remote is None else remote.transport,
            "summary": module.summary,
        }
        for module in catalog
        for remote in [catalog.remote(module.name, module.pinned)]
    ]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "version", "effect", "connection", "transport", "summary")
        print_rows(columns, ([row[column] for column in columns] for row in rows))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The module's name.")],
    home: HomeOption = Path(),
) -> None:
    """Show a module: its parameters, its result, its examples, as JSON."""
    catalog = read_home(open_home(home)).catalog
    module = catalog.module(name)
    if module is None:
        fail(f"there is no module {name!r}; `beltline modules list` shows them")
    print_json(module_schema(module))


@app.command("contract")
def contract(
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Write them as files, AsyncAPI too."),
    ] = None,
) -> None:
    """Print the contract of workers as JSON Schemas: the event of a call, and its answer. As files
    also the event that answers by a queue, and an AsyncAPI document.
    """
    if output is None:
        print_json(schemas())
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, text in contract_files().items():
        (output / name).write_text(text, encoding="utf-8")
        say(f"{output / name} is written")


@app.command("pages")
def pages(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")],
    home: HomeOption = Path(),
) -> None:
    """Write a reference page for each module, a list of them, and all of it as JSON."""
    written = reference_pages(read_home(open_home(home)).catalog)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    say(f"{len(written)} files are written to {folder}")


@app.command("import")
def import_openapi(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An OpenAPI document, version 3.")],
    name: Annotated[str, typer.Option("--name", help="What the modules' names begin with.")],
    home: HomeOption = Path(),
) -> None:
    """Make a module of each operation of a service, from its OpenAPI document.

    The document is kept in the home's `modules` folder; importing a newer one replaces it.
    """
    if not _NAME.fullmatch(name):
        fail(f"{name!r} cannot begin the names of modules; write small letters and dashes", 2)
    folder = open_home(home).path / "modules"
    code = folder / f"{name.replace('-', '_')}.py"
    if code.exists() and code.read_text(encoding="utf-8") != IMPORTED.format(name=name):
        fail(f"{code} is there already, and is a module of its own; choose another --name")
    try:
        document = read_document(file.read_text(encoding="utf-8"), format_of(str(file)))
        found = read_operations(document.data)
        made = built(document.data, found, name)
    except (OSError, UnicodeDecodeError, Unreadable, BadDocument) as wrong:
        fail(f"{file}: {wrong}")
    folder.mkdir(exist_ok=True)
    kept = json.dumps(document.data, ensure_ascii=False, indent=1)
    code.with_suffix(".openapi.json").write_text(f"{kept}\n", encoding="utf-8")
    code.write_text(IMPORTED.format(name=name), encoding="utf-8")
    for operation, reason in found.left_out.items():
        say(f"left out: {operation}: {reason}")
    say(f"{len(made)} modules of {found.title} {found.version} are in {code}:")
    for module in made:
        say(f"  {module.name}: {module.summary}")
    say(f"their steps need a connection of the kind http, with the address {found.server or '…'}")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters and dashes.")],
    home: HomeOption = Path(),
) -> None:
    """Write the beginning of a module into the home's `modules` folder, its test and its page."""
    if not _NAME.fullmatch(name):
        fail(f"{name!r} cannot name a module; write small letters, digits and dashes", 2)
    function = name.replace("-", "_")
    file = open_home(home).path / "modules" / f"{function}.py"
    if file.exists():
        fail(f"{file} is there already")
    type_name = "".join(part.capitalize() for part in name.split("-"))
    title = name.replace("-", " ").capitalize()
    if keyword.iskeyword(function):
        fail(f"{name!r} is a word of Python and can name no file of it; add another word", 2)
    words = {"name": name, "function": function, "type": type_name, "title": title}
    test = file.parent.parent / "tests" / f"test_{function}.py"
    if test.exists():
        fail(f"{test} is there already")
    for path, text in ((file, MODULE), (test, TEST)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(**words), encoding="utf-8")
    found = of_home(file.parent)
    made = next(module for module in found.modules if module.name == name)
    file.with_suffix(".md").write_text(page(made), encoding="utf-8")
    say(f"{file} is written, with its test in {test} and its page beside it;")
    say(f"a step uses it as `module: {name}`")
