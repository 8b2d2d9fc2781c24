"""A day's load on a PostgreSQL store, pressed into minutes: what grows with the runs, and what not.

Each round takes in leads through the intake and carries them to their end. Most come from a source
with identities, some are held in a buffer and released, some wait and are cancelled by a message,
so that every table sees rows come and go. After each round, when no run is open, the sizes of the
tables are read from the server.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from beltline.composition import Running, running_hub
from beltline.core.inputs import Cancel, encode_message
from beltline.core.limits import PRODUCTION
from beltline.engine.records import HeldFilter
from beltline.engine.work import Accepted
from beltline.publishing import publish_files
from beltline.settings import open_home
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from bench import lead
from bench.measured import process
from bench.measured.load import HEADERS, webhook_of

SENDERS = 256  # that wait for their 202 at the same time
HELD_IN = 10  # one lead in so many is held and released
WAITS_IN = 20  # one in so many waits and is cancelled

# Rows, dead rows, and bytes of rows and of indexes, with all partitions.
SIZES = """
    SELECT name, sum(pg_stat_get_live_tuples(class.oid)), sum(pg_stat_get_dead_tuples(class.oid)),
        sum(pg_table_size(class.oid)), sum(pg_indexes_size(class.oid))
    FROM pg_class AS class LEFT JOIN pg_inherits ON inhrelid = class.oid
    JOIN unnest(ARRAY['request', 'journal', 'finished', 'run', 'inbox', 'held', 'identity', 'node',
        'node_claims']) AS name
    ON coalesce(inhparent, class.oid) = ('beltline.' || name)::regclass GROUP BY name
"""
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"


class Senders:
    """Takes leads in through the sources of a hub."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._webhooks = {
            name: webhook_of(source) for name, source in running.files.sources.items()
        }

    async def send(self, source: str, numbers: Iterable[int]) -> list[bytes]:
        """Sends the leads with these numbers, `SENDERS` at a time; gives the keys of their runs."""
        keys: list[bytes] = []
        waiting = iter(numbers)

        async def sender() -> None:
            keys.extend([await self._one(source, number) for number in waiting])

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
        return keys

    async def _one(self, source: str, number: int) -> bytes:
        node, webhook = self._running.node, self._webhooks[source]
        key, now = node.intake.new_key()
        held = webhook.source.buffering.holds
        received = Received(HEADERS, lead.lead_json(number), now)
        taken = webhook.read(received, key, PRODUCTION)
        request = new_request(webhook.source, taken.offered, held=held, limits=PRODUCTION)
        version_id, definition = self._running.processes.newest(request.process)
        answer = await node.intake.submit(request, version_id, None if held else definition)
        assert isinstance(answer, Accepted), answer
        return key


async def one_round(running: Running, senders: Senders, numbers: range) -> None:
    """Takes so many leads in, and carries all of them to their end."""
    node, store = running.node, running.store
    some = set(numbers[::HELD_IN])
    held = await senders.send("held-leads", numbers[::HELD_IN])
    waiting = await senders.send("waiting-leads", numbers[1::WAITS_IN])
    some.update(numbers[1::WAITS_IN])
    ends = [node.watch(key) for key in (*held, *waiting)]
    await senders.send("known-leads", (number for number in numbers if number not in some))
    while await running.hub.buffers().release(HeldFilter("held-leads"), PRODUCTION.batch):
        node.loader.wake()
    for key in waiting:
        await store.post(key, encode_message(Cancel("enough", "bench")), node.clock.now())
    for end in ends:
        await end.wait()
    await process.until_idle(running)
    while await store.purge_identities(node.clock.now(), PRODUCTION.batch):
        pass


async def sizes(db: Any) -> dict[str, dict[str, int]]:
    """What the server tells of each table."""
    names = ("live", "dead", "rows_bytes", "indexes_bytes")
    return {
        name: dict(zip(names, map(int, rest), strict=True)) for name, *rest in await db.fetch(SIZES)
    }


async def carry(home: Path, url: str, rounds: int, each: int, round_s: float) -> dict[str, Any]:
    """Carries `rounds` times `each` leads; a round begins `round_s` after the one before it."""
    db = await asyncpg.connect(url)
    after: list[dict[str, Any]] = []
    async with running_hub(open_home(home), url=url) as running:
        await publish_files(open_home(home), running.processes)
        process.settle_memory()
        senders = Senders(running)
        began = time.perf_counter()
        for number in range(rounds):
            await asyncio.sleep(max(0.0, began + number * round_s - time.perf_counter()))
            await one_round(running, senders, range(number * each, (number + 1) * each))
            after.append(
                {
                    "at_s": round(time.perf_counter() - began, 2),
                    "runs": (number + 1) * each,
                    "commits": running.node.committer.commits,
                    "wal_bytes": await db.fetchval(WAL),
                    "tables": await sizes(db),
                }
            )
        seconds = time.perf_counter() - began
    await db.close()
    return {"seconds": seconds, "rounds": after}


def main() -> None:
    """Carries a day's load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", required=True, help="the URL of an empty database")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--each", type=int, required=True, help="leads in a round")
    parser.add_argument("--round-s", type=float, default=0.0, help="seconds a round lasts at least")
    options = parser.parse_args()
    numbers = (options.rounds, options.each, options.round_s)
    process.run(carry(options.home, options.store, *numbers))


if __name__ == "__main__":
    main()
