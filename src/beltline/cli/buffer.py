"""`beltline buffer`: what sources hold back, and letting it go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
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
from beltline.core.duration import DurationError, parse_moment_ms
from beltline.core.explanation import moment
from beltline.core.limits import LIMITS
from beltline.engine.buffers import AT_ONCE, Buffer, Buffers
from beltline.engine.ids import id_of, time_of
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


def _moment(text: str | None) -> str | None:
    """A moment as a person typed it, which is read where it is used."""
    if text is not None:
        try:
            parse_moment_ms(text)
        except DurationError as wrong:
            raise typer.BadParameter(str(wrong)) from wrong
    return text


def _count(text: str) -> str:
    if text != "all" and not (text.isdecimal() and int(text)):
        raise typer.BadParameter(f"{text!r} is no number from 1 on, and not `all`")
    return text


SinceOption = Annotated[
    str | None,
    typer.Option("--since", callback=_moment, help="Only those accepted then (ISO 8601) or later."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", callback=_moment, help="Only those accepted before that.")
]
CountOption = Annotated[
    str, typer.Option("--count", callback=_count, help="How many, in their order, or `all`.")
]
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
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMITS.page)] = 50,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits in a source's buffer, in the order in which it goes."""
    filter = _chosen(source, None, process, key, since, until)

    async def read() -> list[HeldRequest]:
        async with opened_store(home, store) as opened:
            _known(opened, source)
            return await opened.store.waiting(filter, limit)

    rows = [
        (
            id_of(one.key),
            one.process,
            moment(time_of(one.key)),
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
    since: SinceOption = None,
    until: UntilOption = None,
    count: CountOption = "1",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Let some of the waiting requests go now; the source stays as it is."""
    filter = _chosen(source, ids, process, key, since, until)
    most = _most(count, ids)

    async def let_go() -> int:
        async with opened_store(home, store) as opened:
            await opened.processes.load()
            _known(opened, source)
            buffers = _buffers(opened)
            return await _all(partial(buffers.release, filter), most)

    say(f"{asyncio.run(let_go())} released")


@app.command("drop")
def drop(
    source: SourceArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in their journals.")],
    ids: IdsOption = None,
    process: ProcessOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    count: CountOption = "1",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """End some of the waiting requests without carrying them out."""
    filter = _chosen(source, ids, process, key, since, until)
    most = _most(count, ids)

    async def take_out() -> int:
        async with opened_store(home, store) as opened:
            await opened.processes.load()
            _known(opened, source)
            buffers = _buffers(opened)
            return await _all(partial(buffers.drop, filter, reason=reason, by=BY), most)

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
    filter = _chosen(source, ids)

    async def put() -> int:
        async with opened_store(home, url) as opened:
            _known(opened, source)
            own = await opened.store.waiting(filter, len(ids))
            return await opened.store.put_first([one.key for one in own], first=first)

    say(f"{asyncio.run(put())} moved")


def _chosen(
    source: str,
    ids: list[str] | None,
    process: str | None = None,
    key: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> HeldFilter:
    return HeldFilter(
        source,
        process=process,
        line=key,
        keys=tuple(run_key(id) for id in ids) if ids else None,
        since=None if since is None else parse_moment_ms(since),
        until=None if until is None else parse_moment_ms(until),
    )


def _most(count: str, ids: list[str] | None) -> int | None:
    """How many requests are chosen at most; None for all of them."""
    return None if count == "all" else max(int(count), len(ids or ()))


async def _all(work: Callable[[int], Awaitable[int]], most: int | None) -> int:
    """Has some requests worked on at a time, until it was `most` or there is none; gives how many
    it was.
    """
    number = 0
    while most is None or number < most:
        done = await work(AT_ONCE if most is None else min(AT_ONCE, most - number))
        if not done:
            break
        number += done
    return number


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
