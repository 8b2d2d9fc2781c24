"""The process that measures: set up as `beltline serve` sets itself up, and what it has used."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from beltline.cli.serve import GC_THRESHOLDS, SWITCH_INTERVAL_S
from beltline.composition import Running
from bench.stand import READY, memory_mib


def run(measurement: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Runs a measurement on the loop and with the settings that `serve` has; prints its result
    with the memory that it took at its highest.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    found = uvloop.run(measurement)
    print(json.dumps({**found, "rss_mib": memory_mib("self")}))


def settle_memory() -> None:
    """What `serve` does once it is started: what lives now lives for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def wait_to_begin() -> None:
    """Says that this process is ready, and returns when it is let go. Meanwhile the event loop
    stands still: no coroutine of the hub runs before.
    """
    print(READY, flush=True)
    sys.stdin.readline()


async def until_idle(running: Running) -> None:
    """Returns when no run moves, none is ready, and the last commit is durable."""
    node = running.node
    while node.loader.has_backlog or node.runs.loading or len(node.runs):
        if running.ended.done():
            running.ended.result()
        await asyncio.sleep(0.005)
    await node.flush()


def thread_seconds() -> dict[str, float]:
    """Seconds of CPU of each thread of this process, by the names that they were given."""
    used: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            schedstat = (task / "schedstat").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            continue
        used[task.name] = int(schedstat[0]) / 1e9
    return used


class Usage:
    """Wall time and CPU from its making on."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def since(self) -> tuple[float, float]:
        """Seconds of wall time and of CPU, of all threads together."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu
