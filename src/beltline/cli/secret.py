"""`beltline secret`: the secrets that the hub keeps itself, encrypted in its store."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import HomeOption, JsonOption, StoreOption, fail, print_json, say
from beltline.cli.opening import opened_store, opened_vault
from beltline.definition.secret import is_secret_name
from beltline.engine.vault import VaultTrouble

app = typer.Typer(help="Keep secrets in the hub, encrypted.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="As the files name it, without ${ and }.")
]


@app.command("set")
def set_secret(name: NameArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Keep a secret, in place of an earlier one. It is asked for, or read from stdin."""
    if not is_secret_name(name):
        fail(f"{name!r} is no name of a secret: letters, digits and _, such as SITE_FORM_SECRET")
    if sys.stdin.isatty():
        value: str = typer.prompt(name, hide_input=True, confirmation_prompt=True)
    else:
        value = sys.stdin.read().removesuffix("\n")
    if not value:
        fail("nothing was given: write the secret to stdin, or type it when asked")

    async def put() -> None:
        async with opened_store(home, store) as opened:
            await (await opened_vault(opened, store)).put(name, value)

    try:
        asyncio.run(put())
    except VaultTrouble as trouble:
        fail(str(trouble))
    say(f"{name} is kept")


@app.command("list")
def list_secrets(
    home: HomeOption = Path(), store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List the secrets that the hub keeps, by name."""

    async def read() -> list[str]:
        async with opened_store(home, store) as opened:
            return (await opened_vault(opened, store)).names()

    names = asyncio.run(read())
    if as_json:
        print_json(names)
    else:
        for name in names:
            typer.echo(name)


@app.command("remove")
def remove_secret(name: NameArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Forget a secret."""

    async def remove() -> bool:
        async with opened_store(home, store) as opened:
            return await (await opened_vault(opened, store)).remove(name)

    if not asyncio.run(remove()):
        fail(f"no secret {name!r} is kept; `beltline secret list` shows them")
    say(f"{name} is forgotten")
