"""`beltline runs`: look at runs, and mend those that stopped.

Commands go into the run's inbox in the store; the hub that moves the run carries them out and
writes the journal.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import msgspec
import typer

from beltline.cli.console import (
    HomeOption,
    JsonOption,
    StoreOption,
    fail,
    print_json,
    print_rows,
    say,
)
from beltline.cli.opening import opened_store, run_key
from beltline.core.explanation import moment
from beltline.core.inputs import Cancel, Command, GoTo, Resolve, Retry, Skip, encode_message
from beltline.core.limits import LIMITS
from beltline.core.run import Status
from beltline.engine.ids import id_of
from beltline.engine.inspection import RunView, inspect
from beltline.engine.records import RunFilter, RunRecord

app = typer.Typer(help="Look at runs, and mend those that stopped.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
StepOption = Annotated[
    str | None, typer.Option("--step", help="The step of the dead letter, where there are several.")
]
BY = "command line"


@app.command("list")
def list_runs(
    process: Annotated[str | None, typer.Option("--process", help="Only of this process.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only in this status.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMITS.page)] = 50,
    before: Annotated[str | None, typer.Option("--before", help="Older than this run.")] = None,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    if status is not None and status not in get_args(Status):
        fail(f"{status!r} is no status; there are {', '.join(get_args(Status))}", 2)
    wanted = RunFilter(
        process=process,
        status=cast("Status | None", status),
        before=run_key(before) if before else None,
    )
    rows = [_row(record) for record in asyncio.run(_list(home, store, wanted, limit))]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "process", "source", "status", "accepted_at", "wake_at")
        print_rows(columns, ([row[column] for column in columns] for row in rows))


async def _list(home: Path, url: str | None, wanted: RunFilter, limit: int) -> list[RunRecord]:
    async with opened_store(home, url) as opened:
        return await opened.store.runs(wanted, limit)


def _row(record: RunRecord) -> dict[str, Any]:
    return {
        "id": id_of(record.key),
        "process": record.process,
        "source": record.source,
        "status": record.status,
        "accepted_at": moment(record.accepted_at),
        "wake_at": moment(record.ready_at) if record.ready_at else None,
    }


@app.command("show")
def show(
    id: IdArgument,
    home: HomeOption = Path(),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one run: where it stands, why, and its journal."""

    async def read() -> RunView:
        async with opened_store(home, store) as opened:
            return (await inspect(opened.store, opened.processes, run_key(id))).view()

    view = asyncio.run(read())
    if as_json:
        print_json(view)
        return
    typer.echo(f"{view.id}  {view.process} version {view.version}: {view.status}")
    typer.echo(view.because)
    columns = ("seq", "at", "event", "step", "visit", "attempt", "detail")
    print_rows(columns, (_line(line, columns) for line in view.journal))


def _line(line: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    detail = {name: value for name, value in line.items() if name not in columns}
    return [*(line.get(name) for name in columns[:-1]), msgspec.json.encode(detail).decode()]


@app.command("retry")
def retry(
    id: IdArgument,
    step: StepOption = None,
    given: Annotated[
        str | None, typer.Option("--with", help="Other parameters, as a JSON object.")
    ] = None,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Try dead letters again, as they were or with other parameters."""
    parameters = None if given is None else _json(given, "--with")
    if parameters is not None and not isinstance(parameters, dict):
        fail("--with wants a JSON object", 2)
    _send(home, store, id, Retry(step, parameters, BY))


@app.command("skip")
def skip(
    id: IdArgument,
    step: StepOption = None,
    result: Annotated[str, typer.Option("--result", help="The step's result, as JSON.")] = "{}",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Give a dead letter's result, and go on as if its step had completed."""
    _send(home, store, id, Skip(step, _json(result, "--result"), BY))


@app.command("goto")
def goto(
    id: IdArgument,
    to: Annotated[str, typer.Argument(metavar="STEP", help="Where the run goes on.")],
    step: StepOption = None,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Go on at another step."""
    _send(home, store, id, GoTo(to, step, BY))


@app.command("cancel")
def cancel(
    id: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the journal.")] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo first what its steps have done.")
    ] = False,
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """End a run where it stands, or undo what it has done and then end it."""
    _send(home, store, id, Cancel(reason, BY, undo))


@app.command("approve")
def approve(
    id: IdArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="What waits for approval.")],
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    given: Annotated[str, typer.Option("--given", help="The fields, as a JSON object.")] = "{}",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Approve what a step waits for."""
    _send(home, store, id, Resolve(step, True, None, comment, _object(given), BY))


@app.command("reject")
def reject(
    id: IdArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="What waits for approval.")],
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    given: Annotated[str, typer.Option("--given", help="The fields, as a JSON object.")] = "{}",
    home: HomeOption = Path(),
    store: StoreOption = None,
) -> None:
    """Reject what a step waits for."""
    _send(home, store, id, Resolve(step, False, None, comment, _object(given), BY))


def _object(given: str) -> dict[str, Any]:
    fields = _json(given, "--given")
    if not isinstance(fields, dict):
        fail("--given wants a JSON object", 2)
    return fields


def _json(text: str, option: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as wrong:
        fail(f"{option} is not JSON: {wrong}", 2)


def _send(home: Path, url: str | None, id: str, command: Command) -> None:
    async def post() -> str:
        async with opened_store(home, url) as opened:
            key = run_key(id)
            refusal = (await inspect(opened.store, opened.processes, key)).refusal(command)
            if not refusal:
                await opened.store.post(key, encode_message(command), opened.clock.now())
            return refusal

    refusal = asyncio.run(post())
    if refusal:
        fail(refusal)
    say("taken in; the hub carries it out")
