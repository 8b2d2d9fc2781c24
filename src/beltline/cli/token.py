"""`beltline token create`: access to the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from beltline.api.tokens import ROLES, new_token
from beltline.cli.console import HomeOption, StoreOption, fail
from beltline.cli.opening import opened_store

app = typer.Typer(help="Access tokens for the API.", no_args_is_help=True)


@app.command("create")
def create(
    role: Annotated[str, typer.Option("--role", help=f"One of {', '.join(ROLES)}.")],
    name: Annotated[str, typer.Option("--name", help="Whose it is, for people.")] = "",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Make a token and print it, alone, on stdout. The store keeps only its hash."""
    if role not in ROLES:
        fail(f"{role!r} is no role; there are {', '.join(ROLES)}", 2)

    async def make() -> str:
        async with opened_store(home, store) as opened:
            token, record = new_token(role, name or "command line", opened.clock.now())
            await opened.store.put_token(record)
            return token

    typer.echo(asyncio.run(make()))
