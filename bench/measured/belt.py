"""Carries a backlog that waits in the store to its end, and tells how long that took.

Time runs from the moment when the hub's coroutines start (the store is open, the process compiled,
no run is in memory) until every run is completed and durable.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from beltline.composition import running_hub
from beltline.settings import open_home
from bench.measured import process


async def carry(home: Path) -> dict[str, Any]:
    """Carries what is ready in the home's store."""
    async with running_hub(open_home(home)) as running:
        process.settle_memory()
        usage = process.Usage()
        # No coroutine of the hub has run yet: there was no await since they were made.
        await process.until_idle(running)
        wall_s, cpu_s = usage.since()
        threads = process.thread_seconds()
        return {
            "seconds": wall_s,
            "cpu_s": cpu_s,
            "commits": running.node.committer.commits,
            "left": await running.store.counts(),
            "busiest_threads_s": sorted(threads.values(), reverse=True)[:4],
        }


def main() -> None:
    """Carries the backlog of a home."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    process.run(carry(parser.parse_args().home))


if __name__ == "__main__":
    main()
