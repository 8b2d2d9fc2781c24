"""A rolling upgrade under load: nodes of two versions side by side on one database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.fleet.book import send_all
from tests.fleet.judge import judge
from tests.fleet.node import ROOT, FleetNode
from tests.fleet.rounds import Round, Stage, publish, stage
from tests.servers.wanted import wanted

ORDERS = 6_000
NODES = (
    "SELECT name, version, schema_version, ended_at IS NULL AS lives, commits FROM beltline.node"
    " ORDER BY id"
)
PHASES = "SELECT number, phase FROM beltline.migration ORDER BY applied_at"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server, with links that nobody cuts."""
    with wanted(stage(tmp_path_factory.mktemp("upgrade"), nodes=4)) as opened:
        yield opened


class Transcript:
    """What happened, in lines; printed by pytest when asked (`-rP`)."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._began = time.monotonic()

    async def note(self, what: str) -> None:
        """One line, and the nodes as the database has them."""
        db = await asyncpg.connect(self._database)
        try:
            nodes = [
                f"{name} ({version}, knows {knows}): {'lives' if lives else 'ended'},"
                f" {commits} commits"
                for name, version, knows, lives, commits in await db.fetch(NODES)
            ]
            phases = [f"{number} {phase}" for number, phase in await db.fetch(PHASES)]
        finally:
            await db.close()
        print(f"{time.monotonic() - self._began:6.2f} s  {what}")  # noqa: T201 - the transcript
        print(f"          schema: {', '.join(phases)}")  # noqa: T201
        for node in nodes:
            print(f"          {node}")  # noqa: T201


async def phases(database: str) -> list[tuple[int, str]]:
    """What was applied, in order."""
    db = await asyncpg.connect(database)
    try:
        return [(number, phase) for number, phase in await db.fetch(PHASES)]
    finally:
        await db.close()


async def retire(node: FleetNode) -> None:
    """Stops a node for good, which hands over its runs."""
    await node.end()
    assert node.ended_by_itself == []


async def contracted(database: str) -> None:
    """Returns when the second phase is applied: a node does that in its own time."""
    async with asyncio.timeout(30):
        while True:
            if (2, "contract") in await phases(database):
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nodes_are_replaced_one_by_one_under_load(ready: Stage) -> None:
    game = Round(ready, 2_000, [], nodes=2)
    await asyncio.to_thread(publish, game.home, game.database)
    transcript = Transcript(game.database)
    old = list(game.nodes)
    new = [node.succeeded_by(("-m", "tests.fleet.next_version")) for node in old]
    serving = [*old]
    addresses = [node.address for node in old]
    for node in old:
        node.start()
    try:
        for node in old:
            await node.listening()
        sending: Any = asyncio.create_task(
            send_all(game.book, addresses, ORDERS, at_once=32, per_s=400)
        )
        await transcript.note("two nodes of version 0.1.0, under load")
        for place in (0, 1):
            await retire(old[place])
            serving[place] = new[place]
            new[place].start()
            await new[place].listening()
            await transcript.note(f"node {place} is replaced by one of version 0.2.0")
            applied = await phases(game.database)
            assert (2, "expand") in applied
            if place == 0:
                assert (2, "contract") not in applied  # an old node still needs what it removes
        await contracted(game.database)
        await transcript.note("the last old node has left: the second phase is applied")
        await sending
        await game._rest()
        refused = await asyncio.to_thread(start_old, game.home, game.database)
        assert refused.returncode == 1
        assert "no longer carries this hub" in refused.stderr
        print("          an old node is refused:", refused.stderr.strip())  # noqa: T201
    finally:
        await asyncio.gather(*(node.end() for node in serving))
    await transcript.note("all have left")
    verdict = await judge(game.database, game.home, game.book.acknowledged, [], 0.0)
    assert [*verdict.wrong(), *game.book.contradictions] == []
    assert len(game.book.acknowledged) == ORDERS
    print(  # noqa: T201
        f"          {ORDERS} acknowledged and completed, {verdict.calls} calls,"
        f" {verdict.repeats} repeats; answers by status: {game.book.statuses}"
    )


def start_old(home: Path, database: str) -> subprocess.CompletedProcess[str]:
    """Tries to start a node of the version before."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
            *("--store", database),
        ],
        cwd=ROOT,
        env={**os.environ, "LEDGER": os.devnull},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
