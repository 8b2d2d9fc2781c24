"""`beltline request`: what came in lately, what became of it, and what was sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from beltline.cli.console import HomeOption, JsonOption, StoreOption, fail, print_json, print_rows
from beltline.cli.opening import Opened, opened_store, run_key
from beltline.core.explanation import moment
from beltline.core.limits import LIMITS
from beltline.engine.ids import id_of, time_of
from beltline.engine.recent import VerdictName, recent
from beltline.engine.records import RunRecord
from beltline.engine.verdict_store import Verdict
from beltline.sources.by_hand import read_again
from beltline.sources.refusal import RequestRefused

app = typer.Typer(help="See what came in lately, also what was refused.", no_args_is_help=True)

_COLUMNS = ("id", "source", "came_at", "verdict", "why")


@app.command("list")
def list_requests(
    source: Annotated[str | None, typer.Option("--source", help="Only of this source.")] = None,
    verdict: Annotated[
        VerdictName | None, typer.Option("--verdict", help="Only with this verdict.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMITS.page)] = 50,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List requests with their verdicts, newest first."""

    async def read() -> list[RunRecord | Verdict]:
        async with opened_store(home, store) as opened:
            return await recent(opened.store, limit, source=source, verdict=verdict)

    rows = [_row(one) for one in asyncio.run(read())]
    if as_json:
        print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        print_rows(_COLUMNS, rows)


@app.command("show")
def show_request(
    id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")],
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Print what was sent, as JSON: `beltline run PROCESS --data -` takes it."""

    async def read() -> Any:
        async with opened_store(home, store) as opened:
            return await _value(opened, run_key(id))

    print_json(asyncio.run(read()))


async def _value(opened: Opened, key: bytes) -> Any:
    for stored in await opened.store.requests([key]):
        return orjson.loads(stored.body)
    verdict = await opened.store.verdict(key)
    if verdict is None:
        fail("there is no such request, or it was refused and is not kept any more")
    if verdict.of is not None:
        return await _value(opened, verdict.of)
    source = opened.files.sources.get(verdict.source)
    if source is None:
        fail(f"there is no source {verdict.source!r} any more that could read it")
    try:
        limits = opened.home.settings.effective_limits()
        return read_again(verdict, source, limits).offered.value
    except RequestRefused as refused:
        fail(f"{refused} {refused.where}".rstrip())


def _row(one: RunRecord | Verdict) -> tuple[str, ...]:
    at = moment(time_of(one.key))
    if isinstance(one, RunRecord):
        state = "held" if one.version_id is None else one.status
        return (id_of(one.key), one.source, at, "accepted", f"{one.process}: {state}")
    if one.of is not None:
        return (id_of(one.key), one.source, at, one.outcome, f"of {id_of(one.of)}")
    why = f"{one.status} {one.kind}: {one.detail}"
    if one.settled_as is not None:
        why = f"accepted by {one.settled_by} as {id_of(one.settled_as)}; was {why}"
    return (id_of(one.key), one.source, at, one.outcome, why)
