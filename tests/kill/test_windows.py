"""A buffer with a rate drains while its hub is killed again and again: the receiving side is never
called more often than the rate says, and nothing is lost or done twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from beltline.engine.records import RunFilter
from beltline.stores import open_store
from tests.kill.home import write_home

PROCESS = """\
process: order
steps:
  - {id: take, module: ledger, with: {number: "{{ request.number }}"}}
"""
AT_MOST, EVERY_S = 6, 1.0
BUFFER = f"release: {{at_most: {AT_MOST}, every: {EVERY_S:g}s}}\n"
ORDERS = 42
KILLS = 3


async def serving(home: Path) -> tuple[Process, str]:
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


def calls(home: Path) -> list[float]:
    """When the receiving side was called, in seconds of the machine's monotonic clock."""
    lines = (home / "ledger.txt").read_text(encoding="utf-8").splitlines()
    return [int(line.split()[-1]) / 1e9 for line in lines]


def runs_called(home: Path) -> int:
    """For how many runs the receiving side was called."""
    lines = (home / "ledger.txt").read_text(encoding="utf-8").splitlines()
    return len({line.split()[0] for line in lines})


async def called(home: Path, number: int) -> None:
    """Returns when there were calls for so many runs."""
    async with asyncio.timeout(60):
        while runs_called(home) < number:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_no_window_holds_more_than_its_number_whenever_the_hub_is_killed(
    tmp_path: Path,
) -> None:
    write_home(tmp_path)
    (tmp_path / "processes" / "order.yaml").write_text(PROCESS, encoding="utf-8")
    with (tmp_path / "sources" / "orders.yaml").open("a", encoding="utf-8") as source:
        source.write(BUFFER)
    hub, address = await serving(tmp_path)
    async with aiohttp.ClientSession() as session:
        for number in range(ORDERS):
            body = json.dumps({"number": str(number)})
            headers = {"content-type": "application/json"}
            async with session.post(f"{address}/in/orders", data=body, headers=headers) as answer:
                assert answer.status == 202
    for kill in range(KILLS):
        await called(tmp_path, (kill + 1) * AT_MOST + kill + 1)  # in the middle of a window
        hub.kill()
        await hub.wait()
        hub, _ = await serving(tmp_path)
    await called(tmp_path, ORDERS)
    hub.terminate()
    await hub.wait()
    times = sorted(calls(tmp_path))
    # Calls that were out at a kill are made again, and none beyond these.
    assert len(times) <= ORDERS + KILLS * AT_MOST
    # A call is noted some time after its release, on a busy machine quite some.
    late_s = EVERY_S / 2
    over = [
        last - first
        for first, last in zip(times, times[AT_MOST:], strict=False)
        if last - first < EVERY_S - late_s
    ]
    assert over == []
    assert max(later - at for at, later in pairwise(times)) >= EVERY_S  # it was in use
    store = await open_store(f"sqlite:///{tmp_path / 'data' / 'beltline.db'}")
    runs = await store.runs(RunFilter(), ORDERS + 1)
    await store.close()
    assert Counter(record.status for record in runs) == {"completed": ORDERS}
