"""`beltline worker`: serves a file of modules, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
import uvloop

from beltline.catalog.catalog import Catalog, CatalogError
from beltline.catalog.discovery import of_file, of_package
from beltline.cli.console import EXIT_USAGE, HomeOption, fail, say
from beltline.cli.listening import ListeningServer
from beltline.connections import Connections
from beltline.core.limits import PRODUCTION
from beltline.home_files import read_home
from beltline.logs import Redaction, configure_logs
from beltline.loop import SystemClock
from beltline.queues.address import AddressError, BrokerAddress, broker_address
from beltline.queues.broker import CallBroker, call_broker
from beltline.sdk import ClientFailed
from beltline.settings import open_home, secret_reader
from beltline.worker.calls import WorkerCalls, worker_name
from beltline.worker.http import Worker
from beltline.worker.queue import QueueWorker

VARIABLE = "BELTLINE_WORKER_SECRET"


def worker(
    modules: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py|MODULE",
            help="A file of modules, or a Python module that can be imported.",
        ),
    ],
    http: Annotated[
        str | None,
        typer.Option("--http", metavar="HOST:PORT", help="Where to listen; port 0: a free one."),
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option("--transport", metavar="URL", help="The broker to take calls from."),
    ] = None,
    home: HomeOption = Path(),
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", min=1, max=10_000, help="Calls at a time; by a broker, of each module."
        ),
    ] = PRODUCTION.module_calls,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds for calls under way when it stops.")
    ] = 10.0,
) -> None:
    """Serve modules by HTTP or a broker until SIGTERM or Ctrl-C; connections are the home's."""
    if (http is None) == (transport is None):
        fail("say --http HOST:PORT or --transport URL, one of them", EXIT_USAGE)
    host, port = ("", 0) if http is None else _listening(http)
    secret = "" if http is None else _secret(host)
    redaction = Redaction()
    configure_logs(redaction)
    catalog = _catalog(modules)
    where = open_home(home)
    connections = Connections(read_home(where).connections, redaction, where.path)
    name = worker_name(Path(modules).name)
    if transport is None:
        make = partial(
            Worker,
            catalog,
            connections,
            SystemClock(),
            PRODUCTION,
            name=name,
            concurrency=concurrency,
            secret=secret,
        )
        uvloop.run(_serve(make, host, port, grace))
    else:
        address, broker = _broker(transport)
        calls = partial(WorkerCalls, catalog, connections, PRODUCTION)
        uvloop.run(_take(calls, catalog, address, broker, name, concurrency, grace))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a handler that still blocks its thread is not waited for


def _listening(http: str) -> tuple[str, int]:
    host, _, port = http.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        fail(f"--http takes HOST:PORT, such as 127.0.0.1:9000, not {http[:100]!r}", EXIT_USAGE)
    return host.strip("[]"), int(port)


def _catalog(modules: str) -> Catalog:
    found = of_file(Path(modules)) if modules.endswith(".py") else of_package(modules)
    for failure in found.failures:
        fail(str(failure))
    try:
        return Catalog(found.modules)
    except CatalogError as wrong:
        fail(str(wrong))


def _secret(host: str) -> str:
    """What callers have to show; nothing on loopback, where nobody else can call."""
    if VARIABLE in os.environ or f"{VARIABLE}_FILE" in os.environ:
        return secret_reader()(VARIABLE)
    if host not in ("127.0.0.1", "::1", "localhost"):
        fail(
            f"whoever reaches {host} could have these modules work: put a long random text into the"
            f' environment as {VARIABLE}, and bind the module with secret = "${{NAME}}"'
        )
    return ""


def _broker(transport: str) -> tuple[BrokerAddress, CallBroker]:
    try:
        address = broker_address(transport)
    except AddressError as wrong:
        fail(f"--transport: {wrong}", EXIT_USAGE)
    has_secret = VARIABLE in os.environ or f"{VARIABLE}_FILE" in os.environ
    secret = secret_reader()(VARIABLE) if has_secret else ""
    try:
        return address, call_broker(address, lambda: address.connection(secret))
    except ClientFailed as missing:
        fail(str(missing))


async def _take(
    new_calls: Callable[[], WorkerCalls],
    catalog: Catalog,
    address: BrokerAddress,
    broker: CallBroker,
    name: str,
    concurrency: int,
    grace_s: float,
) -> None:
    """Takes calls until a signal comes, and then hands back what it cannot finish."""
    stop = asyncio.Event()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signalled, stop.set)
    places = sorted({address.calls(module.name) for module in catalog})
    worker = QueueWorker(
        new_calls(), broker, places, SystemClock(), name=name, concurrency=concurrency
    )
    async with worker.running():
        begun = asyncio.ensure_future(worker.ready())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({begun, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            say(f"the worker takes calls from {address.shown}: {', '.join(places)}")
        begun.cancel()
        await stopped
        await worker.stop(grace_s)


async def _serve(make: Callable[[], Worker], host: str, port: int, grace_s: float) -> None:
    app = make()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    async with app.running():
        await _Server(app, grace_s, config).serve()


class _Server(ListeningServer):
    """Says where it listens; at a signal the worker hands back what it cannot finish."""

    def __init__(self, app: Worker, grace_s: float, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app
        self._grace_s = grace_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Calls under way may still be answered; connections stay open until they are."""
        self._app.stop(self._grace_s)
        super().handle_exit(sig, frame)
        self.force_exit = False  # a second signal does not make it drop answers

    def listens(self, host: str, port: int) -> None:
        """It listens there now."""
        say(f"the worker listens on http://{host}:{port}")
