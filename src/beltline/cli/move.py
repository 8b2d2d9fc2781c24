"""`beltline move`: a hub's store, with its open runs and buffers, into another store."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from beltline.cli.console import say


def move(
    old: Annotated[str, typer.Option("--from", help="The store that there is.", metavar="URL")],
    new: Annotated[str, typer.Option("--to", help="An empty one.", metavar="URL")],
) -> None:
    """Move everything to an empty store, and check it row by row; no hub may run meanwhile."""
    from beltline.stores.transfer.moving import move as move_store

    for carried in asyncio.run(move_store(old, new)):
        if carried.rows:
            say(f"{carried.table}: {carried.rows} rows moved, and compared")
    say("The old store is as it was. Set store.url to the new one, and start the hub.")
