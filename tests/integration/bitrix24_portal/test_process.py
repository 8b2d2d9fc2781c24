"""The program itself: started, called over TCP, dropped connections, killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the portal on a free port over one file, and gives the process and its address."""
    running: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "bitrix24_portal", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--data", str(tmp_path / "portal.db"), *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Portal:"), first
        return process, first.split()[1].rstrip("/")

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client over TCP."""
    async with aiohttp.ClientSession() as made:
        yield made


async def _call(session: aiohttp.ClientSession, address: str, method: str, **params: Any) -> Any:
    async with session.post(f"{address}/rest/1/local/{method}", json=params) as reply:
        assert reply.status == 200
        return (await reply.json())["result"]


async def test_it_serves_seeds_drops_connections_and_stops_cleanly(
    start: Start, session: aiohttp.ClientSession
) -> None:
    process, address = start("--seed-demo", "--faults")
    deals = await _call(session, address, "crm.deal.list", select=["TITLE"])
    assert "Поставка упаковки" in {deal["TITLE"] for deal in deals}
    orders = [
        {"kind": "drop", "method": "crm.lead.add"},
        {"kind": "lose-answer", "method": "crm.lead.add"},
    ]
    async with session.post(f"{address}/faults", json=orders) as reply:
        assert reply.status == 200
    for total in (0, 1):
        with pytest.raises(aiohttp.ClientConnectionError):
            await _call(session, address, "crm.lead.add")
        leads = await _call(session, address, "crm.lead.list")
        assert len(leads) == total
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) in {0, -signal.SIGINT}


async def test_what_was_answered_survives_a_kill(
    start: Start, session: aiohttp.ClientSession
) -> None:
    process, address = start("--rate", "0")
    ids = [await _call(session, address, "crm.lead.add", fields={"TITLE": "Т"}) for _ in range(60)]
    process.kill()
    process.wait()
    _, address = start("--rate", "0")
    page = await _call(session, address, "crm.lead.list", order={"ID": "DESC"})
    assert page[0]["ID"] == str(ids[-1]) == "60"
    async with session.get(f"{address}/ledger?method=crm.lead.add") as reply:
        calls = (await reply.json())["calls"]
    assert len(calls) == 60, "the call log knows as much as the data"


async def test_an_event_reaches_its_handler_over_http(
    start: Start, session: aiohttp.ClientSession
) -> None:
    taken: list[dict[str, Any]] = []
    arrived = web.Application()

    async def take(request: web.Request) -> web.Response:
        taken.append(dict(await request.post()))
        return web.Response()

    arrived.router.add_post("/hook", take)
    runner = web.AppRunner(arrived)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    hook = f"http://127.0.0.1:{listening.getsockname()[1]}/hook"

    _, address = start("--application-token", "t0ken")
    await _call(session, address, "event.bind", event="ONCRMLEADADD", handler=hook)
    await _call(session, address, "crm.lead.add", fields={"TITLE": "Т"})
    while True:  # each look is a round trip to the portal, and the test has a time limit
        async with session.get(f"{address}/ledger/events") as reply:
            events = (await reply.json())["events"]
        if events[0]["outcome"].startswith("answered"):
            break
    await runner.cleanup()
    assert [one["outcome"] for one in events] == ["answered 200"]
    assert (taken[0]["event"], taken[0]["data[FIELDS][ID]"]) == ("ONCRMLEADADD", "1")
    assert taken[0]["auth[application_token]"] == "t0ken"


def test_a_taken_port_is_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "bitrix24_portal", "--port", port]
        done = subprocess.run(
            [*command, "--data", str(tmp_path / "p.db")],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
