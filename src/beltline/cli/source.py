"""`beltline source`: what people do with sources by hand."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import HomeOption, JsonOption, StoreOption, fail, print_json
from beltline.cli.opening import Opened, opened_store
from beltline.core.limits import PRODUCTION
from beltline.definition.schedule import ScheduleWay
from beltline.definition.source import Source
from beltline.engine.buffers import holds_back
from beltline.engine.ids import RunIds, id_of
from beltline.sources.firing import Fired, Firing
from beltline.sources.reception import NoProcess
from beltline.sources.refusal import RequestRefused

app = typer.Typer(help="Have a schedule bring a request now.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Have a schedule bring a request now."""


@app.command("run-now")
def run_now(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source, a schedule.")],
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a schedule bring a request now, beside its times. Prints the request's id."""
    try:
        fired = asyncio.run(_fire(source, home, store))
    except (NoProcess, RequestRefused) as why:
        fail(str(why))
    id = id_of(fired.key)
    if as_json:
        print_json({"request": id, "run": None if fired.held else id})
    else:
        typer.echo(id)


async def _fire(name: str, home: Path, url: str | None) -> Fired:
    async with opened_store(home, url) as opened:
        found = opened.files.sources.get(name)
        if found is None:
            known = ", ".join(sorted(opened.files.sources)) or "none"
            fail(f"there is no source {name!r}; there are: {known}")
        if not isinstance(found.way, ScheduleWay):
            fail(f"{name} is a {found.kind}: only a schedule runs by hand")
        await opened.processes.load()
        return await _firing(found, opened).fire_now()


def _firing(source: Source, opened: Opened) -> Firing:
    """What fires a schedule beside a hub that may be running on the store."""
    ids, clock = RunIds(os.urandom), opened.clock

    def new_key() -> tuple[bytes, int]:
        now = clock.now()
        return ids.new_key(now), now

    async def holds(source: Source) -> bool:
        return holds_back(source, (await opened.store.source_state()).get(source.name))

    return Firing(source, opened.store, new_key, opened.processes.newest, holds, PRODUCTION)
