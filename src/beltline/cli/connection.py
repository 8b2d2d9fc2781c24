"""`beltline connection`: whether the accounts of a home can be used."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beltline.cli.console import EXIT_FAILURE, HomeOption, JsonOption, fail, print_json

if TYPE_CHECKING:
    from beltline.catalog.connection_tests import Examination

app = typer.Typer(help="Test the accounts of outside systems.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Test the accounts of outside systems."""


@app.command("test")
def run_test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    home: HomeOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Connect as modules do, and tell what is there. Exit 0 when the connection can be used."""
    from beltline.catalog.connection_tests import NoTest

    try:
        tested = asyncio.run(_test(name, home))
    except (LookupError, NoTest) as why:
        fail(str(why))
    if as_json:
        print_json({"connection": name, "ok": tested.ok, "found": tested.found})
    elif tested.ok:
        typer.echo(f"{name}: {tested.found}")
    else:
        fail(f"{name}: {tested.found}")
    if not tested.ok:
        raise typer.Exit(EXIT_FAILURE)


async def _test(name: str, path: Path) -> Examination:
    from beltline.cli.opening import opened_store, opened_vault
    from beltline.connections import Connections
    from beltline.egress.client import OutgoingClient
    from beltline.logs import Redaction

    async with opened_store(path) as opened, OutgoingClient() as http:
        vault = await opened_vault(opened, None)
        files, where = opened.files.connections, opened.home.path
        return await Connections(files, Redaction(), where, vault).test(name, http)
