"""`beltline run PROCESS`: one request to its end, in a store that is thrown away."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from beltline.cli.check import home_of
from beltline.cli.console import EXIT_FAILURE, HomeOption, fail, print_json, say
from beltline.composition import Running, running_hub
from beltline.core.explanation import moment
from beltline.engine.ids import id_of
from beltline.engine.inspection import RunView, inspect
from beltline.engine.records import NewRequest
from beltline.engine.work import Accepted
from beltline.home_files import DEFINITIONS
from beltline.logs import Redaction, configure_logs
from beltline.publishing import publish_file
from beltline.settings import Home, open_home

SOURCE = "command-line"


def run(
    process: Annotated[str, typer.Argument(metavar="PROCESS", help="A name, or a file.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="FILE|-", help="The request, as JSON.")
    ] = None,
    home: HomeOption = Path(),
) -> None:
    """Take one request through a process, for real, and print where it went."""
    request = _read_request(data)
    redaction = Redaction()
    configure_logs(redaction)
    file = _file_of(process, home)
    where = open_home(home) if home != Path() or _is_inside(file, home) else home_of(file)
    view = asyncio.run(_carry(where, file, request, redaction))
    told = {"status": view.status, "path": view.path, "document": view.document}
    if view.status == "completed":
        told["result"] = view.result
    print_json(told)
    if view.status != "completed":
        say(f"beltline: not completed: {view.because}")
        raise typer.Exit(EXIT_FAILURE)


def _is_inside(file: Path, home: Path) -> bool:
    return file.resolve().parent == (home / "processes").resolve()


def _read_request(data: str | None) -> Any:
    if data is None:
        return {}
    raw = sys.stdin.buffer.read() if data == "-" else Path(data).read_bytes()
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as wrong:
        fail(f"{'stdin' if data == '-' else data} is not JSON: {wrong}")


def _file_of(process: str, home: Path) -> Path:
    """The file of a process: a path as it stands, or a name in the home."""
    if process.endswith((*DEFINITIONS, ".php")):
        path = Path(process)
        if not path.is_file():
            fail(f"{path} is not there")
        return path
    for ending in DEFINITIONS:
        path = home / "processes" / f"{process}{ending}"
        if path.is_file():
            return path
    return fail(f"there is no process {process!r} in {home / 'processes'}")


async def _carry(home: Home, file: Path, request: Any, redaction: Redaction) -> RunView:
    with tempfile.TemporaryDirectory(prefix="beltline-run-") as folder:
        url = f"sqlite:///{folder}/run.db"
        async with running_hub(home, url=url, durable=False, redaction=redaction) as running:
            for finding in (*running.files.findings, *await publish_file(file, running.processes)):
                say(str(finding))
            if file.stem not in running.processes.names():
                fail(f"{file} does not check, so it cannot run")
            key = await _submit(running, file.stem, request)
            inspected = await inspect(running.store, running.processes, key)
    return inspected.view()


async def _submit(running: Running, name: str, request: Any) -> bytes:
    """Hands the request in and waits until its run is at rest; gives its key."""
    version_id, process = running.processes.newest(name)
    key, now = running.node.intake.new_key()
    meta = {"id": id_of(key), "source": SOURCE, "time": moment(now), "headers": {}}
    rest = running.node.watch(key)
    accepted = await running.node.intake.submit(
        NewRequest(
            key=key,
            source=SOURCE,
            process=name,
            accepted_at=now,
            body=msgspec.json.encode(request),
            meta=msgspec.json.encode(meta),
        ),
        version_id,
        process,
    )
    if not isinstance(accepted, Accepted):
        fail(f"the request was not accepted: {accepted}")
    at_rest = asyncio.ensure_future(rest.wait())
    await asyncio.wait({at_rest, running.ended}, return_when=asyncio.FIRST_COMPLETED)
    if running.ended.done():
        running.ended.result()
    return key
