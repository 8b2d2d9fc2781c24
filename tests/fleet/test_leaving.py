"""Two nodes: either answers for the other's runs, and goes on with them when the other has gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.fleet.book import Book, send_all
from tests.fleet.evidence import Call, Spell, read_ledgers
from tests.fleet.judge import judge
from tests.fleet.node import FleetNode
from tests.fleet.rounds import Stage, beltline, publish, stage
from tests.kill.home import MODULE, write_home
from tests.servers.ports import free_ports
from tests.servers.wanted import wanted

ORDERS = 20
HAND_OVER_S = 5.0
REPLACED_S = 15.0
FOR_EVER_S = 3_600.0
# A call is noted, and not done before the file is there.
A_MOMENT = "    await asyncio.sleep(0.004)\n"
THE_GATE = """\
    while not os.path.exists(os.environ["GATE"]):
        await asyncio.sleep(0.02)
"""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server, with links that nobody cuts."""
    with wanted(stage(tmp_path_factory.mktemp("leaving"), nodes=2)) as opened:
        yield opened


class Pair:
    """Two nodes with the settings as they come, whose handlers wait for the gate."""

    def __init__(self, ready: Stage, name: str) -> None:
        self.home = ready.folder / name
        self.home.mkdir()
        write_home(self.home)
        assert A_MOMENT in MODULE
        module = MODULE.replace(A_MOMENT, THE_GATE)
        (self.home / "modules" / "ledger.py").write_text(module, encoding="utf-8")
        self.database = ready.server.database(name)
        self.book = Book()
        self._gate = self.home / "gate"
        ports = free_ports(2)
        self.nodes = [
            FleetNode(
                number,
                self.home,
                ready.links.database(number, ready.server, name),
                host=ready.links.host(number),
                port=ports[number],
                prefix=ready.links.command(number),
                environment={"GATE": str(self._gate)},
            )
            for number in range(2)
        ]

    async def send(self) -> None:
        """Gives the first node some orders; returns when it has called for each of them."""
        address = self.nodes[0].address
        await send_all(self.book, [address], ORDERS, at_once=4, per_s=1_000)
        await self.called(0)

    async def called(self, node: int) -> list[Call]:
        """The first calls of a node, when there is one for each order."""
        while True:
            calls = [call for call in read_ledgers(self.home) if call.node == node]
            if len({call.where for call in calls}) >= ORDERS:
                return sorted(calls, key=lambda call: call.at)[:ORDERS]
            await asyncio.sleep(0.02)

    async def complete(self) -> None:
        """Opens the gate, and returns when every run is at its end."""
        self._gate.touch()
        db = await asyncpg.connect(self.database)
        try:
            while await db.fetchval("SELECT count(*) FROM beltline.run"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            await db.close()

    async def token(self, role: str) -> dict[str, str]:
        """The header of somebody with this role."""
        words = ("token", "create", "--role", role)
        made = await asyncio.to_thread(beltline, self.home, self.database, *words)
        return {"Authorization": f"Bearer {made}"}


@asynccontextmanager
async def pair(ready: Stage, name: str) -> AsyncIterator[Pair]:
    """Both nodes, serving."""
    both = Pair(ready, name)
    await asyncio.to_thread(publish, both.home, both.database)
    for node in both.nodes:
        node.start()
    try:
        for node in both.nodes:
            await node.listening()
        yield both
    finally:
        await asyncio.gather(*(node.end() for node in both.nodes))


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_sigterm_hands_calls_under_way_over_within_five_seconds(ready: Stage) -> None:
    async with pair(ready, "handed_over") as both:
        await both.send()
        began = time.monotonic()
        await both.nodes[0].end()
        ended = time.monotonic()
        took_over = await both.called(1)
        print(  # noqa: T201 - the figures are the point
            f"left after {ended - began:.2f} s;"
            f" all {ORDERS} runs called by the other after {took_over[-1].at - began:.2f} s"
        )
        await both.complete()
    assert ended - began < HAND_OVER_S
    assert took_over[-1].at - began < HAND_OVER_S + 1.0  # the other looks each second at the latest
    assert [fault for node in both.nodes for fault in node.ended_by_itself] == []
    # Its handlers did not answer within the grace: that is why they are called again.
    stopped = [Spell(began, ended, 0)]
    verdict = await judge(both.database, both.home, both.book.acknowledged, stopped, 1.0)
    assert verdict.wrong() == []
    assert verdict.repeats == ORDERS


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_killed_node_is_replaced_within_fifteen_seconds(ready: Stage) -> None:
    async with pair(ready, "replaced") as both:
        await both.send()
        both.nodes[0].away_s = FOR_EVER_S
        killed = time.monotonic()
        both.nodes[0].kill()
        took_over = await both.called(1)
        print(  # noqa: T201 - the figures are the point
            f"all {ORDERS} runs of the killed node called by the other after"
            f" {took_over[0].at - killed:.2f} to {took_over[-1].at - killed:.2f} s"
        )
        await both.complete()
    assert took_over[-1].at - killed < REPLACED_S
    spells = [Spell(killed, killed, 0)]
    verdict = await judge(both.database, both.home, both.book.acknowledged, spells, 1.0)
    assert verdict.wrong() == []
    assert verdict.repeats == ORDERS


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_any_node_answers_for_any_run(ready: Stage) -> None:
    async with pair(ready, "answers") as both, aiohttp.ClientSession() as session:
        await both.send()
        headers = await both.token("viewer")

        async def ask(node: int, path: str) -> Any:
            url = f"{both.nodes[node].address}/api/v1/runs{path}"
            async with session.get(url, headers=headers) as answer:
                return answer.status, await answer.json()

        for run in both.book.acknowledged.values():
            status, moving = await ask(1, f"/{run}")
            assert (status, moving["status"]) == (200, "moving")
            assert moving["journal"]
        nobody = "/00000000-0000-7000-8000-000000000000"
        assert [(await ask(node, nobody))[0] for node in (0, 1)] == [404, 404]
        first, *others = both.book.acknowledged.values()
        await cancel(session, both, first)
        while (await ask(1, f"/{first}"))[1]["status"] != "cancelled":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await both.complete()
        for run in others:
            of_one, of_other = await ask(0, f"/{run}"), await ask(1, f"/{run}")
            assert of_one == of_other
            assert of_one[1]["status"] == "completed"
        assert await ask(0, "?limit=50") == await ask(1, "?limit=50")


async def cancel(session: aiohttp.ClientSession, both: Pair, run: str) -> None:
    """Somebody ends a run of the first node, and asks the second one to."""
    async with session.post(
        f"{both.nodes[1].address}/api/v1/runs/{run}/cancel",
        json={"reason": "it was a test"},
        headers=await both.token("operator"),
    ) as answer:
        assert answer.status < 300, await answer.text()
