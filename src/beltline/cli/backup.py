"""`beltline backup FILE`: a consistent copy of the store, also while the hub runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import HomeOption, StoreOption, fail, say
from beltline.cli.opening import opened_store


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Copy the store into a new file."""
    if file.exists():
        fail(f"{file} is there already")

    async def copy() -> None:
        async with opened_store(home, store) as opened:
            await opened.store.backup(str(file))

    asyncio.run(copy())
    say(f"{file}: {file.stat().st_size} bytes")
