"""Limits as the receiving side sees them: under load, over a kill, and from two nodes at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.integration.outside import outside, write_home
from tests.integration.test_serve import serving
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.wanted import wanted


@pytest.fixture
def durable_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL as `serve` wants it."""
    with wanted(postgres(tmp_path_factory.mktemp("durable"))) as opened:
        yield opened


RATE, BURST = 50.0, 8
LIMITS = f"limits: {{rate: {RATE:g}/s, burst: {BURST}}}\n"


async def send(address: str, numbers: range) -> None:
    """Requests, as fast as they are taken."""
    async with aiohttp.ClientSession() as session:
        for n in numbers:
            async with session.post(f"{address}/in/asks", json={"n": n}) as answer:
                assert answer.status == 202


async def test_no_window_sees_more_than_the_burst_and_the_rate_over_a_kill(tmp_path: Path) -> None:
    async with outside() as server, asyncio.timeout(60):
        write_home(tmp_path, server, limits=LIMITS)
        async with serving(tmp_path) as (hub, address):
            await send(address, range(120))
            await server.saw(60)
            hub.kill()
            await hub.communicate()
        async with serving(tmp_path) as (_, address):
            await send(address, range(120, 150))
            await server.saw(150)
    assert server.most_over(RATE) <= BURST
    assert len(server.numbers) <= 150 + BURST  # what was under way at the kill is asked again
    took = server.seen[-1] - server.seen[0]
    assert took < 3 * 150 / RATE + 5  # the limit is used, too


@pytest.mark.slow
async def test_two_nodes_keep_to_one_limit(tmp_path: Path, durable_server: PostgresServer) -> None:
    url = await asyncio.to_thread(durable_server.database, "limits")
    async with outside() as server, asyncio.timeout(60):
        settings = f'[store]\nurl = "{url}"\n[nodes]\nlease_s = 1\n'
        write_home(tmp_path, server, limits=LIMITS, settings=settings)
        publish = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "beltline", "publish", "--home", str(tmp_path)),
        )
        assert await publish.wait() == 0
        async with serving(tmp_path) as (one, first), serving(tmp_path) as (_, second):
            await asyncio.gather(send(first, range(100)), send(second, range(100, 200)))
            await server.saw(120)
            one.kill()
            await server.saw(200)
    assert server.most_over(RATE) <= BURST
