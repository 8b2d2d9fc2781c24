"""`beltline move --from URL --to URL`: a hub, with open runs and buffers, goes to another store."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from beltline.cli.console import print_rows, say


def move(
    old: Annotated[
        str, typer.Option("--from", metavar="URL", help="The store that the hub is in now.")
    ],
    new: Annotated[
        str, typer.Option("--to", metavar="URL", help="An empty one; it is made if it is missing.")
    ],
) -> None:
    """Move everything to an empty store, and check it row by row. No hub may run meanwhile."""
    from beltline.stores.transfer.moving import move as move_store
    from beltline.stores.transfer.moving import shown

    def tell(table: str, rows: int, what: str) -> None:
        if rows:
            say(f"{table}: {rows} {what}")

    moved = asyncio.run(move_store(old, new, tell=tell))
    columns = ("table", "moved", "checked")
    print_rows(columns, ((table, rows, rows) for table, rows in moved.rows.items()))
    if moved.recovered:
        say(
            f"{moved.recovered} runs were moving when the hub ended without handing them over:"
            " they go on at once, each with one crash more"
        )
    say(f"Everything is in {shown(new)}; {shown(old)} is as it was. Next:")
    say("  set url in [store] of beltline.toml (or BELTLINE_STORE_URL) to the new store")
    say("  beltline serve, on each node; the processes are there, so nothing is to be published")
    say("The old store must not be served again.")
