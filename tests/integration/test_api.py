"""The hub over real HTTP: a server on a free loopback port, raw sockets, a client."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
import uvicorn

from tests.unit.api.stage import Stage, running_stage


class Served(msgspec.Struct):
    """A hub that is served at `address`."""

    stage: Stage
    port: int
    client: aiohttp.ClientSession

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def raw(self, sent: bytes) -> bytes:
        """Sends these very bytes; gives all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        await writer.drain()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received


class Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.started_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.started_up.set()


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[Served]:
    config = uvicorn.Config(stage.app, port=0, log_config=None, access_log=False, ws="none")
    server = Server(config)
    listening = config.bind_socket()
    task = asyncio.create_task(server.serve([listening]))
    try:
        await server.started_up.wait()
        async with aiohttp.ClientSession() as client:
            yield Served(stage, listening.getsockname()[1], client)
    finally:
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A hub behind a real server."""
    async with running_stage(tmp_path) as stage, serving(stage) as running:
        yield running


async def test_a_lead_goes_from_the_sender_to_its_end(served: Served) -> None:
    async with served.client.post(f"{served.address}/in/form", json={"name": "Анна"}) as answer:
        assert answer.status == 202
        told = await answer.json()
    await served.stage.at_rest(told["run"], "completed")
    token = {"Authorization": f"Bearer {served.stage.tokens['viewer']}"}
    async with served.client.get(served.address + told["status"], headers=token) as answer:
        assert answer.status == 200
        run = await answer.json()
    assert run["status"] == "completed"
    assert run["document"]["greet"] == {"name": "Анна"}


async def test_a_body_in_chunks_is_read_and_one_without_end_is_refused(served: Served) -> None:
    head = b"POST /in/form HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    good = await served.raw(head + b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n')
    assert good.startswith(b"HTTP/1.1 202")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 65_536

    async with served.client.post(f"{served.address}/in/form", data=endless()) as answer:
        assert answer.status == 413
        assert "request_body_bytes" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /in/form HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        b"POST /in/form HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /in/form HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /in/form HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /in/form HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_malformed_http_is_refused_and_nothing_is_stored(served: Served, sent: bytes) -> None:
    assert (await served.raw(sent)).startswith(b"HTTP/1.1 400")
    page = await served.stage.ask("GET", "/api/v1/runs")
    assert page.json()["runs"] == []


async def test_many_senders_at_once_each_get_a_run_of_their_own(served: Served) -> None:
    async def send(number: int) -> str:
        async with served.client.post(f"{served.address}/in/form", json={"n": number}) as answer:
            assert answer.status == 202
            run: str = (await answer.json())["run"]
            return run

    runs = await asyncio.gather(*(send(number) for number in range(100)))
    assert len(set(runs)) == 100
    for run in runs:
        await served.stage.at_rest(run, "completed")


async def test_the_head_of_an_answer_is_given_without_its_body(served: Served) -> None:
    sent = b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = (await served.raw(sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 15" in head
    assert body == b""


async def test_problems_over_http_are_problems(served: Served) -> None:
    async with served.client.get(f"{served.address}/api/v1/runs") as answer:
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert json.loads(await answer.read())["must_act"] == "caller"
