"""The shipped examples go the same way whatever carries their modules: one journal, by each.

Each is served with its modules in the hub, with them in a worker over HTTP, and with them in one
behind each broker: one line for each name moves it. Ids are given, and each time the portal is new.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from beltline.catalog.catalog import Catalog
from beltline.catalog.discovery import installed
from beltline.composition import running_hub
from beltline.connections import Connections
from beltline.core.limits import PRODUCTION
from beltline.engine.inspection import inspect
from beltline.engine.records import NewRequest
from beltline.engine.work import Accepted
from beltline.home_files import read_home
from beltline.logs import Redaction
from beltline.loop import SystemClock
from beltline.publishing import publish_files
from beltline.queues.address import broker_address
from beltline.queues.broker import call_broker
from beltline.settings import open_home
from beltline.worker.calls import WorkerCalls
from beltline.worker.http import Worker
from beltline.worker.queue import QueueWorker
from bitrix24_portal import Portal, PortalSettings, create_app
from tests.servers.asgi import served
from tests.servers.call_brokers import CARRIERS, BrokerServer
from tests.servers.wanted import wanted

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = bytes.fromhex("0198f2a0000070008000000000000001")
STAY = frozenset({"remember", "recall", "forget"})  # their memory is the hub's
MOVED = sorted(
    module.name
    for module in installed().modules
    if module.handler is not None and module.name not in STAY
)
META = {"id": "0198f2a0-0000-7000-8000-000000000001", "source": "site-form"}
LEAD = {"name": "Ann", "phone": "+7 900 123-45-67", "email": "ann@example.org", "question": "How?"}
CASES = {
    "lead": ("lead-intake", "lead-intake", LEAD, META),
    "lead of nobody": ("lead-intake", "lead-intake", {"name": "Ann"}, META),
    "price": (
        "price-list",
        "price",
        {"sku": "A1", "price": "12.50"},
        {**META, "file": {"name": "prices.csv", "row": 2}},
    ),
    "reminder": ("price-list", "reminder", {"day": "2026-11-25"}, META),
}


def at_hand(home: Path) -> tuple[Catalog, Connections]:
    """What a worker of this home serves, with its connections."""
    catalog = Catalog(one for one in installed().modules if one.handler is not None)
    return catalog, Connections(read_home(open_home(home)).connections, Redaction(), home)


@asynccontextmanager
async def worker(home: Path) -> AsyncIterator[str]:
    """All shipped modules that can leave the hub, in a worker with the home's connections."""
    made = Worker(*at_hand(home), SystemClock(), PRODUCTION, name="examples", concurrency=10)
    async with made.running(), served(made) as url:
        yield url


@asynccontextmanager
async def queue_worker(home: Path, server: BrokerServer) -> AsyncIterator[str]:
    """The same behind a broker."""
    url = server.address(f"t{os.urandom(6).hex()}")
    address = broker_address(url)
    catalog, connections = at_hand(home)
    made = QueueWorker(
        WorkerCalls(catalog, connections, PRODUCTION),
        call_broker(address, lambda: address.connection("")),
        [address.calls(name) for name in MOVED],
        SystemClock(),
        name="examples",
        concurrency=10,
    )
    async with made.running():
        await made.ready()
        yield url


@asynccontextmanager
async def carried(transport: str, home: Path) -> AsyncIterator[str]:
    """The address that names are bound to; empty where their modules stay in the hub."""
    async with AsyncExitStack() as opened:
        if transport == "event":
            yield ""
        elif transport == "http":
            yield await opened.enter_async_context(worker(home))
        else:
            server = opened.enter_context(wanted(CARRIERS[transport](home / transport)))
            yield await opened.enter_async_context(queue_worker(home, server))


async def journal(
    home: Path, process: str, body: Any, meta: Any
) -> tuple[list[dict[str, Any]], set[str]]:
    """The journal of one request through a hub over `home`, without its times; and the names of the
    modules whose worker answered.
    """
    opened = open_home(home)
    async with running_hub(opened, durable=False) as hub:
        await publish_files(opened, hub.processes)
        version, compiled = hub.processes.newest(process)
        raw = json.dumps(body).encode()
        now = hub.node.clock.now()
        about = json.dumps(meta).encode()
        request = NewRequest(KEY, "site-form", process, now, raw, about, body_hash=b"")
        watch = hub.node.watch(KEY)
        answer = await hub.node.intake.submit(request, version, compiled)
        assert isinstance(answer, Accepted)
        await watch.wait()
        view = (await inspect(hub.store, hub.processes, KEY)).view()
        heard = {name for name in MOVED if hub.hub.workers.last(name) is not None}
    times = {"at", "until"}
    lines = [
        {name: told for name, told in line.items() if name not in times} for line in view.journal
    ]
    del hub
    gc.collect()  # compiled expressions may be dropped by this thread only, not by one of handlers
    return lines, heard


@pytest.mark.parametrize("moved", ["http", *CARRIERS])
@pytest.mark.parametrize("case", CASES)
async def test_a_journal_is_the_same_but_for_the_transport(
    case: str, moved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, process, body, meta = CASES[case]
    journals: dict[str, list[dict[str, Any]]] = {}
    heard: dict[str, set[str]] = {}
    for transport in ("event", moved):
        home = tmp_path / transport
        shutil.copytree(EXAMPLES / example, home, ignore=shutil.ignore_patterns("data"))
        portal = Portal(PortalSettings(data=home / "portal.db", secret="s3cret", rate_per_s=0.0))
        async with served(create_app(portal)) as url:
            monkeypatch.setenv("BITRIX24_WEBHOOK", "s3cret")
            _point(home, url)
            async with carried(transport, home) as address:
                if address:
                    with (home / "beltline.toml").open("a") as settings:
                        for name in MOVED:
                            settings.write(f'[modules."{name}"]\ntransport = "{address}"\n')
                journals[transport], heard[transport] = await journal(home, process, body, meta)
    way = "http" if moved == "http" else "queue"
    ways = {
        (line["module"].partition("@")[0], line["transport"])
        for line in journals[moved]
        if line["event"] == "step-started" and line.get("transport")
    }
    assert all(transport == ("event" if name in STAY else way) for name, transport in ways)
    assert heard == {"event": set(), moved: {name for name, _ in ways} - STAY}
    assert ways
    # A call that a broker has is told as deferred: what it leads to is the same.
    lines = [line for line in journals[moved] if line["event"] != "step-deferred"]
    for number, line in enumerate(lines):
        line["seq"] = number
        if line.get("transport"):
            line["transport"] = "event"
    assert lines == journals["event"]


def _point(home: Path, url: str) -> None:
    """The connections of the copy lead to this test's portal, and have no limits: a store that is
    new has no tokens yet, and when a step is parked is not the same twice.
    """
    for file in home.glob("connections/*.yaml"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("limits:")]
        file.write_text(
            "\n".join(
                f"address: {url}/rest/1/" if line.startswith("address:") else line for line in lines
            )
        )
