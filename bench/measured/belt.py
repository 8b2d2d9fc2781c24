"""Carries a backlog that waits in the store to its end, and tells how long that took.

Time runs from the moment when the hub's coroutines start (the store is open, the process compiled,
no run is in memory) until every run is completed and durable. Several nodes that share a store are
several of these processes, let go at the same moment: each tells what its own part was, and it ends
when nothing is left that it could claim or that it moves.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from beltline.composition import Running, running_hub
from beltline.engine.records import Claimed, RunFilter
from beltline.settings import open_home
from bench.measured import process


async def carry(home: Path, url: str | None, *, together: bool, later: bool) -> dict[str, Any]:
    """Carries what is ready in the store: the home's own, or that at `url`. Where answers come
    `later`, runs wait for them outside of memory, and it ends when none waits.
    """
    async with running_hub(open_home(home), url=url) as running:
        claims = _counted_claims(running)
        process.settle_memory()
        if together:
            process.wait_to_begin()
        began_at = time.perf_counter()
        usage = process.Usage()
        # No coroutine of the hub has run yet: there was no await since they were made.
        await process.until_idle(running)
        while later and await running.store.runs(RunFilter(status="waiting"), 1):
            await asyncio.sleep(0.02)
            await process.until_idle(running)
        wall_s, cpu_s = usage.since()
        threads = process.thread_seconds()
        return {
            "began_at": began_at,  # by the clock of the machine: the same for all its processes
            "seconds": wall_s,
            "cpu_s": cpu_s,
            "runs": sum(claims),
            "claims": len(claims),
            "commits": running.node.committer.commits,
            "left": await running.store.counts(),
            "busiest_threads_s": sorted(threads.values(), reverse=True)[:4],
        }


def _counted_claims(running: Running) -> list[int]:
    """How many runs each claim of this node takes, from now on."""
    claims: list[int] = []
    claim = running.store.claim

    async def counted(now: int, limit: int, *, crashes: int, max_bytes: int) -> Claimed:
        claimed = await claim(now, limit, crashes=crashes, max_bytes=max_bytes)
        claims.append(len(claimed.runs))
        return claimed

    running.store.claim = counted  # type: ignore[method-assign]  # counted from outside
    return claims


def main() -> None:
    """Carries the backlog of a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", help="the store's URL; without it the home's own")
    parser.add_argument("--together", action="store_true", help="wait to be let go with others")
    parser.add_argument("--later", action="store_true", help="answers come later: by a queue")
    given = parser.parse_args()
    process.run(carry(given.home, given.store, together=given.together, later=given.later))


if __name__ == "__main__":
    main()
