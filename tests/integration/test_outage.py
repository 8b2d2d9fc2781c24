"""An outside system that is away for a while, under load: nothing fails, and nobody knocks but
probes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from beltline.engine.records import RunFilter
from beltline.stores import open_store
from tests.integration.outside import Outside, outside, write_home
from tests.integration.test_limits import send
from tests.integration.test_serve import serving

AWAY_S = 8.0
FRAIL = "    retry: {attempts: 1}\n"  # one failure would be a dead letter


class Knocks:
    """Stands where the outside system stood: takes no request, and counts who comes."""

    def __init__(self, server: Outside) -> None:
        self._port = int(server.address.rpartition(":")[2])
        self.at: list[float] = []

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(
            self._answer, "127.0.0.1", self._port, reuse_address=True
        )
        return self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.at.append(asyncio.get_running_loop().time())
        writer.write(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def __aexit__(self, *error: object) -> None:
        self._listening.close()
        await self._listening.wait_closed()


async def states(home: Path) -> dict[str, int]:
    """How many runs have which status."""
    store = await open_store(f"sqlite:///{home / 'data' / 'beltline.db'}")
    try:
        records = await store.runs(RunFilter(), 10_000)
    finally:
        await store.close()
    found: dict[str, int] = {}
    for record in records:
        found[record.status] = found.get(record.status, 0) + 1
    return found


async def test_nothing_fails_while_the_other_side_is_away(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with outside() as server, asyncio.timeout(90):
        write_home(tmp_path, server, policy=FRAIL)
        async with serving(tmp_path) as (_, address):
            await send(address, range(50))
            await server.saw(50)
            await server.down()
            began = loop.time()
            async with Knocks(server) as knocks:
                number = 50
                while loop.time() < began + AWAY_S:
                    await send(address, range(number, number + 20))
                    number += 20
                    await asyncio.sleep(0.1)  # a load that goes on, in real time
            await server.up()
            await server.saw(number)
            async with asyncio.timeout(20):
                while (await states(tmp_path)) != {"completed": number}:
                    await send(address, range(number, number))
    opened_at = knocks.at[4]
    probes = [at for at in knocks.at if at > opened_at + 0.3]
    assert 2 <= len(probes) <= 4  # after 1, 2 and 4 seconds more
    assert len(knocks.at) < 50
    assert len(set(server.numbers)) == number > 400
