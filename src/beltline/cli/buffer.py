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
from beltline.cli.opening import Opened, opened_store, run_key
from beltline.composition import buffers_of
from beltline.core.explanation import moment
from beltline.core.limits import LIMITS
from beltline.engine.buffers import Buffer, Buffers
from beltline.engine.ids import id_of
from beltline.engine.records import HeldFilter, HeldRequest
from beltline.engine.releaser import PAUSED, RELEASED

app = typer.Typer(help="See, order, release and drop what sources hold back.", no_args_is_help=True)

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="The source.")]
IdsArgument = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of requests.")]
IdsOption = Annotated[
    list[str] | None, typer.Option("--id", help="Only this one; may stand several times.")
]
ProcessOption = Annotated[
    str | None, typer.Option("--process", help="Only those that go to this process.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="Only those with this key.")]
BY = "command line"


@app.command("list")
def list_buffers(
    home: HomeOption = Path(), store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List the sources, whether they are paused, how many requests wait and for how long."""

    async def read() -> list[Buffer]:
        async with opened_store(home, store) as opened:
            return await _buffers(opened).states()

    rows = asyncio.run(read())
    if as_json:
        print_json(rows)
    else:
        columns = ("source", "process", "state", "held", "oldest", "next", "drained about")
        print_rows(columns, map(_shown, rows))


@app.command("pause")
def pause(source: SourceArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Hold back what a source accepts from now on."""
    _change(home, store, source, PAUSED)


@app.command("resume")
def resume(source: SourceArgument, home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Release what waits, and let new requests through at once."""
    _change(home, store, source, RELEASED)


@app.command("requests")
def list_requests(
    source: SourceArgument,
    process: ProcessOption = None,
    key: KeyOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMITS.page)] = 50,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits in a source's buffer, in the order in which it goes."""

    async def read() -> list[HeldRequest]:
        async with opened_store(home, store) as opened:
            _known(opened, source)
            filter = HeldFilter(source, process=process, line=key)
            return await opened.store.waiting(filter, limit)

    rows = [
        (
            id_of(one.key),
            one.process,
            moment(int.from_bytes(one.key[:6])),
            one.line,
            "" if one.behind is None else id_of(one.behind),
        )
        for one in asyncio.run(read())
    ]
    columns = ("id", "process", "accepted_at", "key", "behind")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_rows(columns, rows)


@app.command("release")
def release(
    source: SourceArgument,
    ids: IdsOption = None,
    process: ProcessOption = None,
    key: KeyOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many, in their order.")] = 1,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Let some of the waiting requests go now; the source stays as it is."""
    filter = _chosen(source, ids, process, key)
    most = max(count, len(ids or ()))

    async def let_go() -> int:
        async with opened_store(home, store) as opened:
            await opened.processes.load()
            _known(opened, source)
            return await _buffers(opened).release(filter, most)

    say(f"{asyncio.run(let_go())} released")


@app.command("drop")
def drop(
    source: SourceArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in their journals.")],
    ids: IdsOption = None,
    process: ProcessOption = None,
    key: KeyOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many, in their order.")] = 1,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """End some of the waiting requests without carrying them out."""
    filter = _chosen(source, ids, process, key)
    most = max(count, len(ids or ()))

    async def take_out() -> int:
        async with opened_store(home, store) as opened:
            await opened.processes.load()
            _known(opened, source)
            return await _buffers(opened).drop(filter, most, reason=reason, by=BY)

    say(f"{asyncio.run(take_out())} dropped")


@app.command("first")
def put_first(
    source: SourceArgument, ids: IdsArgument, home: HomeOption = Path(), store: StoreOption = None
) -> None:
    """Move requests to the first places of their buffer."""
    _put(home, store, source, ids, first=True)


@app.command("last")
def put_last(
    source: SourceArgument, ids: IdsArgument, home: HomeOption = Path(), store: StoreOption = None
) -> None:
    """Move requests to the last places of their buffer."""
    _put(home, store, source, ids, first=False)


def _put(home: Path, url: str | None, source: str, ids: list[str], *, first: bool) -> None:
    filter = _chosen(source, ids, None, None)

    async def put() -> int:
        async with opened_store(home, url) as opened:
            _known(opened, source)
            own = await opened.store.waiting(filter, len(ids))
            return await opened.store.put_first([one.key for one in own], first=first)

    say(f"{asyncio.run(put())} moved")


def _chosen(source: str, ids: list[str] | None, process: str | None, key: str | None) -> HeldFilter:
    keys = tuple(run_key(id) for id in ids) if ids else None
    return HeldFilter(source, process=process, line=key, keys=keys)


def _shown(buffer: Buffer) -> tuple[object, ...]:
    *what, oldest_at, next_at, drained_at = astuple(buffer)
    times = (oldest_at, next_at, drained_at)
    return (*what, *("" if at is None else moment(at) for at in times))


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
