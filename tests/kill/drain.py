"""A buffer with a rate drains while its hub is killed, as the receiving side sees it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from beltline.engine.records import RunFilter
from beltline.stores import open_store
from tests.kill.home import write_home

PROCESS = """\
process: order
steps:
  - {id: take, module: ledger, with: {number: "{{ request.number }}"}}
"""
TOGETHER = 100  # requests that are posted at the same time


class Rate(msgspec.Struct, frozen=True):
    """What a source lets go: so many in any so many seconds."""

    at_most: int
    every_s: float


class Drained(msgspec.Struct, frozen=True):
    """When the receiving side was called for each request the first time, in seconds since the
    first call of all; how many calls came again, because a kill cut off the first one's answer; how
    the runs ended; how long the posting took.
    """

    times: list[float]
    again: int
    statuses: Counter[str]
    posted_s: float


async def drained(
    home: Path, rate: Rate, orders: int, kills: int, tell: Callable[[str], None] = lambda text: None
) -> Drained:
    """Posts the orders, and kills the hub so often, each time in the middle of a window."""
    write_home(home)
    (home / "processes" / "order.yaml").write_text(PROCESS, encoding="utf-8")
    with (home / "sources" / "orders.yaml").open("a", encoding="utf-8") as source:
        source.write(f"release: {{at_most: {rate.at_most}, every: {rate.every_s:g}s}}\n")
    hub, address = await _serving(home)
    begun = time.monotonic()
    await _post(address, orders)
    posted_s = time.monotonic() - begun
    tell(f"{orders} requests accepted in {posted_s:.2f} s")
    for kill in range(1, kills + 1):
        windows = max(1, orders * kill // (kills + 1) // rate.at_most)
        await _called(home, windows * rate.at_most + kill)
        hub.kill()
        await hub.wait()
        tell(f"killed after calls for {_runs_called(home)} requests")
        hub, _ = await _serving(home)
    await _called(home, orders)
    hub.terminate()
    await hub.wait()
    store = await open_store(f"sqlite:///{home / 'data' / 'beltline.db'}")
    runs = await store.runs(RunFilter(), orders + 1)
    await store.close()
    first: dict[str, float] = {}
    for line in (ledger := _ledger(home)):
        run, *_, at = line.split()
        first.setdefault(run, int(at) / 1e9)
    times = sorted(first.values())
    statuses = Counter(str(record.status) for record in runs)
    again = len(ledger) - len(first)
    return Drained([at - times[0] for at in times], again, statuses, posted_s)


def shortest_s(times: list[float], at_most: int) -> float:
    """The shortest time in which there was one more than a window may hold."""
    spans = (last - first for first, last in zip(times, times[at_most:], strict=False))
    return min(spans, default=float("inf"))


async def _serving(home: Path) -> tuple[Process, str]:
    """A hub that listens, and its address."""
    hub = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
        env={**os.environ, "LEDGER": str(home / "ledger.txt")},
        stdout=DEVNULL,
        stderr=PIPE,
    )
    assert hub.stderr is not None
    async with asyncio.timeout(30):
        async for line in hub.stderr:
            if b"listens on" in line:
                return hub, line.split()[-1].decode()
    raise AssertionError("the hub ended before it listened")


async def _post(address: str, orders: int) -> None:
    headers = {"content-type": "application/json"}

    async def post(session: aiohttp.ClientSession, number: int) -> None:
        body = json.dumps({"number": str(number)})
        async with session.post(f"{address}/in/orders", data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()

    async with aiohttp.ClientSession() as session:
        for first in range(0, orders, TOGETHER):
            numbers = range(first, min(first + TOGETHER, orders))
            await asyncio.gather(*(post(session, number) for number in numbers))


def _ledger(home: Path) -> list[str]:
    """The calls as the receiving side wrote them down: the run first, the time last."""
    return (home / "ledger.txt").read_text(encoding="utf-8").splitlines()


def _runs_called(home: Path) -> int:
    return len({line.split()[0] for line in _ledger(home)})


async def _called(home: Path, number: int) -> None:
    """Returns when there were calls for so many runs."""
    async with asyncio.timeout(600):
        while _runs_called(home) < number:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)
