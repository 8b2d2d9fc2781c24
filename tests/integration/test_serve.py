"""`beltline serve` as a process: what a signal ends, and what the next start finds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from beltline.engine.records import RunFilter, RunRecord
from beltline.stores import open_store

MODULE = '''\
"""Says that it was called, then answers when it is told to."""

import os
import time
from typing import Annotated, Any

from beltline.sdk import Config, Context, Module, field


class HoldConfig(Config):
    """Nothing."""


def hold(config: HoldConfig, context: Context) -> dict[str, Any]:
    with open(os.environ["CALLS"], "w") as calls:
        calls.write(context.run)
    with open(os.environ["GATE"]) as gate:  # blocks until someone opens the other end
        gate.read()
    return {}


module = Module(
    name="hold", version=1, summary="Waits.", category="site", icon="clock", effect="idempotent",
    config=HoldConfig, output=dict[str, Any], handler=hold, examples=(),
)
'''
FILES = {
    "beltline.toml": "[stopping]\ngrace_s = 0.2\n",
    "modules/hold.py": MODULE,
    "processes/held.yaml": "process: held\nsteps:\n  - {id: hold, module: hold}\n",
    "sources/held.yaml": "source: held\nkind: webhook\nprocess: held\nverify: none\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    os.mkfifo(tmp_path / "calls")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The hub as a process, and its address; it is killed if it is still there."""
    environment = {**os.environ, "CALLS": str(home / "calls"), "GATE": str(home / "gate")}
    hub = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert hub.stderr is not None
    try:
        async for line in hub.stderr:
            if b"listens on" in line:
                yield hub, line.split()[-1].decode()
                break
    finally:
        if hub.returncode is None:
            hub.kill()
        await hub.communicate()


async def only_run(home: Path) -> RunRecord:
    store = await open_store(f"sqlite:///{home / 'data' / 'beltline.db'}")
    try:
        [record] = await store.runs(RunFilter(), 2)
    finally:
        await store.close()
    return record


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_hands_over_what_is_under_way(home: Path, number: int) -> None:
    async with serving(home) as (hub, address), aiohttp.ClientSession() as session:
        async with session.post(f"{address}/in/held", json={}) as answer:
            assert answer.status == 202
        called = await asyncio.to_thread((home / "calls").read_text)
        hub.send_signal(number)
        # The handler still blocks its thread; it does not keep the process.
        await hub.communicate()
        assert hub.returncode == 0
    record = await only_run(home)
    assert (record.owned, record.crashes, record.status) == (False, 0, "moving")
    assert record.ready_at is not None
    async with serving(home) as (_, address):
        assert await asyncio.to_thread((home / "calls").read_text) == called
        await asyncio.to_thread((home / "gate").write_text, "go")
        await until_completed(address, home)


async def until_completed(address: str, home: Path) -> None:
    """The run's row is written when it ends; the store is asked until then."""
    async with asyncio.timeout(20):
        while (await only_run(home)).status != "completed":
            async with aiohttp.ClientSession() as session, session.get(f"{address}/healthz"):
                pass


async def test_kill_counts_as_a_crash_and_the_run_goes_on(home: Path) -> None:
    async with serving(home) as (hub, address), aiohttp.ClientSession() as session:
        async with session.post(f"{address}/in/held", json={}) as answer:
            assert answer.status == 202
        await asyncio.to_thread((home / "calls").read_text)
        hub.kill()
        await hub.communicate()
    assert (await only_run(home)).owned
    async with serving(home) as (_, address):
        await asyncio.to_thread((home / "calls").read_text)
        assert (await only_run(home)).crashes == 1
        await asyncio.to_thread((home / "gate").write_text, "go")
        await until_completed(address, home)
    assert (await only_run(home)).crashes == 0


async def test_a_second_hub_on_the_same_store_is_refused(home: Path) -> None:
    async with serving(home):
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await second.communicate()
    assert second.returncode == 1
    assert b"Traceback" not in told
    assert told.startswith(b"beltline: ")
