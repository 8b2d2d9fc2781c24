"""One request at a time: how long from handing it in until its run is completed and durable.

The cost of one commit of the store's database is measured in between, again and again, so that both
come from the same minutes of the same disk.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from beltline.composition import Running, running_hub
from beltline.core.limits import PRODUCTION
from beltline.engine.work import Accepted
from beltline.publishing import publish_files
from beltline.settings import open_home
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from beltline.sources.webhook import Webhook
from bench import lead, machine
from bench.measured import process
from bench.measured.load import HEADERS, webhook_of

WARM_UP = 100
ROUND = 50  # requests between two looks at the cost of a commit
ROW_BYTES = 400  # of a row that is committed alone

CommitTimes = Callable[[int], Awaitable[list[float]]]


async def one(running: Running, webhook: Webhook, number: int) -> tuple[float, float, int]:
    """Carries one request. Gives the milliseconds from handing it in, and from its acceptance,
    to its completion, and the number of commits from first to last.
    """
    node = running.node
    before = node.committer.commits
    began = time.perf_counter()
    key, now = node.intake.new_key()
    received = Received(HEADERS, lead.lead_json(number), now)
    taken = webhook.read(received, key, PRODUCTION)
    request = new_request(webhook.source, taken.offered, held=False, limits=PRODUCTION)
    version_id, definition = running.processes.newest(request.process)
    rest = node.watch(key)
    answer = await node.intake.submit(request, version_id, definition)
    accepted = time.perf_counter()
    assert isinstance(answer, Accepted), answer
    status = await rest.wait()
    ended = time.perf_counter()
    assert status == "completed", status
    return (ended - began) * 1e3, (ended - accepted) * 1e3, node.committer.commits - before


@asynccontextmanager
async def lone_commits(home: Path, url: str | None) -> AsyncIterator[CommitTimes]:
    """A function that commits so many rows, each by itself, and gives how long each took, in
    milliseconds: over SQLite on the disk of the home, or over a connection of its own to the
    database at `url`.
    """
    if url is None:

        async def of_sqlite(count: int) -> list[float]:
            return machine.commit_times_ms(home, count)

        yield of_sqlite
        return
    db = await asyncpg.connect(url)
    try:
        await db.execute("CREATE TABLE decision (entry bytea NOT NULL)")
        insert = await db.prepare("INSERT INTO decision VALUES ($1)")
        row = os.urandom(ROW_BYTES)

        async def of_postgres(count: int) -> list[float]:
            times: list[float] = []
            for _ in range(count):
                began = time.perf_counter()
                await insert.fetch(row)
                times.append((time.perf_counter() - began) * 1e3)
            return times

        yield of_postgres
    finally:
        await db.close()


async def carry(home: Path, count: int, url: str | None) -> dict[str, Any]:
    """Carries `count` requests, one after the other."""
    async with (
        running_hub(open_home(home), url=url) as running,
        lone_commits(home, url) as commit_times_ms,
    ):
        await publish_files(open_home(home), running.processes)
        source = running.files.sources["leads"]
        webhook = webhook_of(source)
        process.settle_memory()
        for number in range(WARM_UP):
            await one(running, webhook, number)
        commits_ms: list[float] = []
        taken: list[tuple[float, float, int]] = []
        for start in range(WARM_UP, WARM_UP + count, ROUND):
            commits_ms += await commit_times_ms(ROUND)
            taken += [await one(running, webhook, n) for n in range(start, start + ROUND)]
        await running.node.flush()
    return {
        "requests": len(taken) + WARM_UP,
        "from_handing_in_ms": [round(ms, 4) for ms, _, _ in taken],
        "from_acceptance_ms": [round(ms, 4) for _, ms, _ in taken],
        "commits_on_the_way": [commits for _, _, commits in taken],
        "one_commit_ms": [round(ms, 4) for ms in commits_ms],
    }


def main() -> None:
    """Carries so many requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", help="the store's URL; without it the home's own")
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    process.run(carry(options.home, options.count, options.store))


if __name__ == "__main__":
    main()
