"""`beltline event`: events from outside, brought by hand, and the runs that wait for them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from beltline.cli.console import HomeOption, JsonOption, StoreOption, fail, print_json
from beltline.cli.opening import opened_store
from beltline.core.duration import DurationError, parse_duration_ms
from beltline.core.explanation import moment
from beltline.core.inputs import EventArrived
from beltline.core.limits import PRODUCTION
from beltline.engine.event_store import EventTaken, ExpectationFilter
from beltline.engine.ids import RunIds, id_of
from beltline.engine.outside_events import WrongEvent, give
from beltline.engine.records import Expectation

app = typer.Typer(help="Bring events to runs that wait, and see who does.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Bring events to runs that wait, and see who does."""


@app.command()
def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event's name.")],
    key: Annotated[str, typer.Option("--key", help="What the event is about.")] = "",
    data: Annotated[
        str | None, typer.Option("--data", metavar="FILE|-", help="What it carries, as JSON.")
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="The event's own id: a repeat is taken in once.")
    ] = None,
    keep: Annotated[
        str, typer.Option("--keep", help="How long it is kept where no run waits for it.")
    ] = "1h",
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring an event to every run that waits for its name and key; with none it is kept."""
    try:
        keep_ms = parse_duration_ms(keep)
    except DurationError as wrong:
        fail(f"--keep: {wrong}")
    try:
        given, taken = asyncio.run(_send(name, key, _read(data), id, keep_ms, home, store))
    except WrongEvent as wrong:
        fail(str(wrong))
    if not taken.is_same:
        fail(f"another event came in under the id {given!r}: give this one its own")
    if as_json:
        print_json({"id": given, "runs": taken.runs, "repeat": taken.is_repeat})
    elif taken.runs or taken.is_repeat:
        typer.echo(f"given to {taken.runs} runs" + (" before" if taken.is_repeat else ""))
    else:
        typer.echo(f"no run waits for it; it is kept for {keep}")


def _read(data: str | None) -> Any:
    if data is None:
        return None
    try:
        raw = sys.stdin.buffer.read() if data == "-" else Path(data).read_bytes()
        return msgspec.json.decode(raw)
    except (OSError, msgspec.DecodeError) as wrong:
        fail(f"--data cannot be read: {wrong}")


async def _send(
    name: str,
    key: str,
    data: Any,
    id: str | None,
    keep_ms: int,
    home: Path,
    url: str | None,
) -> tuple[str, EventTaken]:
    async with opened_store(home, url) as opened:
        now = opened.clock.now()
        given = id or id_of(RunIds(os.urandom).new_key(now))
        arrived = EventArrived(given, name, key, data, now)
        return given, await give(opened.store, arrived, keep_ms, limits=PRODUCTION)


@app.command()
def waiting(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this event.")] = None,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which runs wait for which events."""
    found = asyncio.run(_waiting(name, home, store))
    shown = [
        {
            "run": id_of(one.key),
            "step": one.step,
            "visit": one.visit,
            "name": one.name,
            "key": one.event_key,
            "since": moment(one.at),
        }
        for one in found
    ]
    if as_json:
        print_json(shown)
        return
    for line in shown:
        typer.echo("  ".join(str(value) for value in line.values()))


async def _waiting(name: str | None, home: Path, url: str | None) -> list[Expectation]:
    found: list[Expectation] = []
    async with opened_store(home, url) as opened:
        after: tuple[bytes, str, int] | None = None
        while page := await opened.store.expectations(
            ExpectationFilter("event", name, after), PRODUCTION.page
        ):
            found += page
            after = (page[-1].key, page[-1].step, page[-1].visit)
    return found
