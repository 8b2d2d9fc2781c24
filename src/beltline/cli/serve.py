"""`beltline serve`: the hub, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import structlog
import typer
import uvicorn
import uvloop

from beltline.api.app import create_app
from beltline.api.tokens import new_token
from beltline.cli.console import HomeOption, StoreOption, say
from beltline.cli.listening import ListeningServer
from beltline.composition import Running, running_hub
from beltline.engine.ports import StoreAway
from beltline.logs import Redaction, configure_logs
from beltline.publishing import publish_files
from beltline.reaching import when_reachable
from beltline.settings import Home, open_home
from beltline.stores import is_shared

_log = structlog.get_logger()

# Threads hand over the interpreter lock at most this late; the store's writer and the handlers
# wait for it while the belt decides. Measured beside a busy thread: a row's insert takes 16 µs at
# the default of 5 ms and under 4 µs at this.
SWITCH_INTERVAL_S = 0.0005
# What a run allocates lives for milliseconds and holds no cycles: look for those seldom.
GC_THRESHOLDS = (50_000, 20, 50)
HOUSEKEEPING_S = 1.0
HELD_CONNECTIONS_S = 75


def serve(
    home: HomeOption = Path(),
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Serve a home: accept requests and move runs until SIGTERM or Ctrl-C."""
    redaction = Redaction()
    configure_logs(redaction)
    opened = open_home(home)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(_serve(opened, host, port, store, redaction))
    # Everything is closed and durable. A handler that still blocks its thread would keep the
    # process for as long as it likes, so it is not waited for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _serve(
    home: Home, host: str | None, port: int | None, url: str | None, redaction: Redaction
) -> None:
    # Of several nodes none decides by its files what all of them do: `beltline publish` does.
    publishes = not is_shared(url or home.store_url)
    host = host or home.settings.server.host
    port = home.settings.server.port if port is None else port
    own_url = _url_of(host, port) if port else ""
    async with running_hub(home, url=url, redaction=redaction, own_url=own_url) as running:
        for finding in running.files.findings:
            say(str(finding))
        if publishes:
            await _publish(home, running)
        elif not running.processes.names():
            say("no process is published in this store: `beltline publish` does that")
        await _first_token(running)
        server = _Server(
            running,
            home.settings.stopping.grace_s,
            uvicorn.Config(
                create_app(running.hub),
                host=host,
                port=port,
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=HELD_CONNECTIONS_S,
                timeout_graceful_shutdown=max(1, round(home.settings.stopping.grace_s / 2)),
            ),
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        housekeeping = asyncio.create_task(_keep_house(home, running, publishes=publishes))
        serving = asyncio.create_task(server.serve())
        try:
            async with running.looking():
                await asyncio.wait({serving, running.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            housekeeping.cancel()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(housekeeping, serving, return_exceptions=True)
        if running.ended.done():
            running.ended.result()


class _Server(ListeningServer):
    """Says where it listens, once it does; ends by a signal without dying of it."""

    def __init__(self, running: Running, grace_s: float, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._running = running
        self._grace_s = grace_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """From here the grace runs: nothing new is begun while connections are still closed."""
        if self._running.stop_by is None:
            self._running.stop_by = asyncio.get_running_loop().time() + self._grace_s
            self._running.hub.feeds.stop_soon()
            self._running.node.drain()
        super().handle_exit(sig, frame)

    def listens(self, host: str, port: int) -> None:
        """It listens there now."""
        say(f"beltline listens on http://{host}:{port}")
        callbacks = self._running.hub.callbacks
        callbacks.base = callbacks.base or _url_of(host, port)


def _url_of(host: str, port: int) -> str:
    """Where workers on this machine reach the hub; empty where it listens everywhere, since then
    nobody here can know by which of its addresses they would.
    """
    if host in ("0.0.0.0", "::"):  # noqa: S104 - it is compared
        return ""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _first_token(running: Running) -> None:
    """At the first start there must be a way in: an admin token, shown this one time."""
    if not await when_reachable(running.store.tokens):
        token, record = new_token("admin", "first start", running.node.clock.now())
        await when_reachable(lambda: running.store.put_token(record))
        say(f"admin token (shown once): {token}")


async def _publish(home: Home, running: Running) -> None:
    for finding in await publish_files(home, running.processes):
        say(str(finding))


async def _keep_house(home: Home, running: Running, *, publishes: bool) -> None:
    """Each second: what others changed in the store or in the home's files, and what expired."""
    seen = _stamps(home)
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        try:
            await _refresh(running)
            now = _stamps(home)
            if publishes and now != seen:
                seen = now
                await _publish(home, running)
        except StoreAway:
            continue  # the node tells it
        except Exception:  # noqa: BLE001 - housekeeping must go on; the node tells a broken store
            _log.exception("housekeeping failed; it is tried again")


async def _refresh(running: Running) -> None:
    """Takes up what other programs did to the store, and drops what has expired."""
    for name, reason in (await running.processes.refresh()).items():
        _log.error("a process cannot be used", process=name, reason=reason)
    now, batch = running.node.clock.now(), running.hub.limits.batch
    await running.store.purge_values(now, batch)
    await running.store.purge_identities(now, batch)
    await running.store.tend()


def _stamps(home: Home) -> dict[str, tuple[int, int]]:
    """When each process file was last changed, and its size."""
    stamps = {}
    for path in home.files("processes", ".yaml", ".yml", ".json"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            stamps[str(path)] = (found.st_mtime_ns, found.st_size)
    return stamps
