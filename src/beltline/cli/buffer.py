"""`beltline buffer`: what sources hold back, and letting it go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import astuple

from beltline.cli.console import (
    HomeOption,
    JsonOption,
    StoreOption,
    fail,
    print_json,
    print_rows,
    say,
)
from beltline.cli.opening import Opened, opened_store
from beltline.composition import buffers_of
from beltline.engine.buffers import Buffer, Buffers
from beltline.engine.records import HeldFilter
from beltline.engine.releaser import PAUSED, RELEASED

app = typer.Typer(help="See, pause and release what sources hold back.", no_args_is_help=True)

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="The source.")]


@app.command("list")
def list_buffers(
    home: HomeOption = Path(), store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List the sources, whether they are paused, and how many requests wait."""

    async def read() -> list[Buffer]:
        async with opened_store(home, store) as opened:
            return await _buffers(opened).states()

    rows = asyncio.run(read())
    if as_json:
        print_json(rows)
    else:
        columns = ("source", "process", "state", "held")
        print_rows(columns, (astuple(row) for row in rows))


@app.command("pause")
def pause(source: SourceArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Hold back what a source accepts from now on."""
    _change(home, store, source, PAUSED)


@app.command("resume")
def resume(source: SourceArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Release what waits, and let new requests through at once."""
    _change(home, store, source, RELEASED)


@app.command("release")
def release(
    source: SourceArgument,
    count: Annotated[int, typer.Option("--count", min=1, help="How many, the oldest first.")] = 1,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Let some of the waiting requests go; the source stays as it is."""

    async def let_go() -> int:
        async with opened_store(home, store) as opened:
            await opened.processes.load()
            _known(opened, source)
            return await _buffers(opened).release(HeldFilter(source), count)

    say(f"{asyncio.run(let_go())} released")


def _change(home: Path, url: str | None, source: str, state: str) -> None:
    async def change() -> None:
        async with opened_store(home, url) as opened:
            await opened.processes.load()
            _known(opened, source)
            buffers = _buffers(opened)
            if state == PAUSED:
                await buffers.pause(source)
            else:
                await buffers.resume(source)

    asyncio.run(change())
    say(f"{source} is {state}")


def _buffers(opened: Opened) -> Buffers:
    return buffers_of(opened.files, opened.store, opened.processes, opened.clock)


def _known(opened: Opened, source: str) -> None:
    known = opened.files.sources
    if source not in known:
        fail(f"there is no source {source!r}; there are: {', '.join(sorted(known)) or 'none'}")
