"""How soon a node takes up what another program made ready: one held request at a time.

A second store, with connections of its own as another node has them, releases a request that this
hub has nothing to do with until the database wakes it. Time runs from the call of the release until
the run is completed and durable.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from beltline.cli.opening import opened_store
from beltline.composition import running_hub
from beltline.publishing import publish_files
from beltline.settings import open_home
from bench.measured import process
from bench.measured.day import Senders

SOURCE = "held-leads"


async def carry(home: Path, url: str, count: int) -> dict[str, Any]:
    """Releases `count` requests, each when the one before it is completed."""
    taken: list[float] = []
    async with running_hub(open_home(home), url=url) as running, opened_store(home, url) as other:
        await publish_files(open_home(home), running.processes)
        keys = await Senders(running).send(SOURCE, range(count))
        versions = running.processes.usable(running.files.sources[SOURCE].processes)
        process.settle_memory()
        for key in sorted(keys):  # the oldest is released first
            end = running.node.watch(key)
            began = time.perf_counter()
            released = await other.store.let_go([key], versions, other.clock.now(), None)
            assert released == 1, "nothing was held any more"
            status = await end.wait()
            assert status == "completed", status
            taken.append((time.perf_counter() - began) * 1e3)
    return {"from_release_ms": [round(ms, 4) for ms in taken]}


def main() -> None:
    """Releases so many requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", required=True, help="the URL of an empty database")
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    process.run(carry(options.home, options.store, options.count))


if __name__ == "__main__":
    main()
