"""Kills a serving hub again and again, and keeps an outside book of what it acknowledged.

Senders go on through all of it: what they get no answer for they send again under the same
identity, as real senders do. After the last kill the hub is left alone until every run is at
rest; then its journals are held against the book.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from beltline.core.events import Journal, StepCompleted
from beltline.engine.ids import key_of
from beltline.engine.ports import Store
from beltline.engine.records import RunFilter
from beltline.stores import open_store
from tests.kill.home import STEPS

SENDERS = 12
START_S = 30.0
REST_S = 120.0
ROOT = Path(__file__).parents[2]


class Kill(msgspec.Struct, frozen=True):
    """One kill: at a named point (`point:n`), or at a moment after the start (`after_s`)."""

    point: str = ""
    after_s: float = 0.0


class Book(msgspec.Struct):
    """What the outside knows. `acknowledged` is order number -> run id; `in_flight` tells for
    each kill how many runs were moving.
    """

    acknowledged: dict[str, str] = {}
    in_flight: list[int] = []
    passed_by: list[str] = []  # points that were not passed in time, so that a signal killed
    contradictions: list[str] = []
    sent: int = 0


class Result(msgspec.Struct):
    """The book held against the journals."""

    kills: int
    hit_moving_runs: int
    acknowledged: int
    lost: list[str]
    recorded_twice: list[str]
    not_completed: list[str]
    calls: int
    repeated_calls: int
    wrong_keys: list[str]
    contradictions: list[str]

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.kills} kills, {self.hit_moving_runs} of them hit runs in flight;"
            f" {self.acknowledged} requests acknowledged, {len(self.lost)} lost,"
            f" {len(self.recorded_twice)} results recorded twice,"
            f" {len(self.not_completed)} not completed;"
            f" {self.calls} calls, {self.repeated_calls} of them repeats"
        )


class Rounds:
    """The rounds of kills on one home."""

    def __init__(self, home: Path, seed: int) -> None:
        self._home = home
        self._random = random.Random(seed)
        self._book = Book()
        self._port = 0
        self._ledger = home / "ledger.txt"
        self._log = home / "hub.log"
        self._hub: asyncio.subprocess.Process | None = None
        self._url = f"sqlite:///{home / 'data' / 'beltline.db'}"

    async def run(self, kills: list[Kill]) -> Result:
        """Carries out the kills, lets the hub come to rest, and compares."""
        stop = asyncio.Event()
        async with aiohttp.ClientSession() as session:
            senders = [
                asyncio.create_task(self._send(session, number, stop)) for number in range(SENDERS)
            ]
            try:
                for kill in kills:
                    await self._round(kill)
                hub = await self._start("")
                stop.set()
                await asyncio.gather(*senders)
                await self._rest(hub)
                hub.send_signal(signal.SIGTERM)
                await hub.wait()
            finally:
                for sender in senders:
                    sender.cancel()
                self._end()
        return await self._compare(len(kills))

    def _end(self) -> None:
        """Whatever happened, no hub is left behind."""
        if self._hub is not None and self._hub.returncode is None:
            self._hub.kill()

    async def _start(self, crash: str) -> asyncio.subprocess.Process:
        environment = {**os.environ, "LEDGER": str(self._ledger), "CRASH": crash}
        with self._log.open("ab") as log:
            hub = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.kill.hub",
                *("serve", "--home", str(self._home), "--port", str(self._port)),
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=asyncio.subprocess.PIPE,
            )
        self._hub = hub
        assert hub.stderr is not None
        try:
            async with asyncio.timeout(START_S):
                async for line in hub.stderr:
                    self._note(line)
                    if b"listens on" in line:
                        self._port = int(line.rsplit(b":", 1)[1])
                        break
        except TimeoutError:
            hub.kill()
            raise AssertionError(f"the hub did not start; see {self._log}") from None
        self._drain = asyncio.create_task(self._read_on(hub.stderr))
        return hub

    async def _read_on(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._note(line)

    def _note(self, line: bytes) -> None:
        with self._log.open("ab") as log:
            log.write(line)

    async def _round(self, kill: Kill) -> None:
        hub = await self._start(kill.point)
        wait_s = kill.after_s or 2.0
        try:
            async with asyncio.timeout(wait_s):
                await hub.wait()
        except TimeoutError:
            if kill.point:
                self._book.passed_by.append(kill.point)
            with suppress(ProcessLookupError):
                hub.kill()
            await hub.wait()
        assert hub.returncode == -signal.SIGKILL, f"the hub ended by itself; see {self._log}"
        self._book.in_flight.append(await self._moving())

    async def _moving(self) -> int:
        store = await open_store(self._url)
        try:
            return (await store.counts())["owned"]
        finally:
            await store.close()

    async def _send(self, session: aiohttp.ClientSession, sender: int, stop: asyncio.Event) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            await self._send_until_answered(session, f"{sender}-{count}")

    async def _send_until_answered(self, session: aiohttp.ClientSession, number: str) -> None:
        while True:
            self._book.sent += 1
            try:
                async with session.post(
                    f"http://127.0.0.1:{self._port}/in/orders",
                    json={"number": number},
                    timeout=aiohttp.ClientTimeout(10),
                ) as answer:
                    if answer.status == 202:
                        self._acknowledge(number, await answer.json())
                        return
                    if answer.status != 503:
                        text = await answer.text()
                        self._book.contradictions.append(f"{number}: {answer.status} {text}")
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.02)  # the hub is down: as a sender's retry would

    def _acknowledge(self, number: str, answer: Any) -> None:
        first = self._book.acknowledged.setdefault(number, answer["run"])
        if first != answer["run"]:
            self._book.contradictions.append(f"{number}: {first}, then {answer['run']}")

    async def _rest(self, hub: asyncio.subprocess.Process) -> None:
        store = await open_store(self._url)
        try:
            async with asyncio.timeout(REST_S):
                while (counts := await store.counts())["ready"] or counts["owned"]:
                    assert hub.returncode is None, f"the hub ended; see {self._log}"
                    await asyncio.sleep(0.1)
        finally:
            await store.close()

    async def _compare(self, kills: int) -> Result:
        store = await open_store(self._url)
        try:
            runs = await _journals(store)
        finally:
            await store.close()
        lost, twice, unfinished = [], [], []
        for number, id in self._book.acknowledged.items():
            key = key_of(id)
            assert key is not None
            if key not in runs:
                lost.append(number)
                continue
            status, steps = runs[key]
            if any(count > 1 for count in steps.values()):
                twice.append(number)
            if status != "completed" or sorted(steps) != sorted((step, 1) for step in STEPS):
                unfinished.append(f"{number}: {status} {dict(steps)}")
        calls = self._ledger.read_text(encoding="utf-8").splitlines()
        keys: dict[tuple[str, str, str], set[str]] = {}
        for line in calls:
            run, step, visit, _, key_text, _ = line.split()
            keys.setdefault((run, step, visit), set()).add(key_text)
        return Result(
            kills=kills,
            hit_moving_runs=sum(1 for count in self._book.in_flight if count),
            acknowledged=len(self._book.acknowledged),
            lost=lost,
            recorded_twice=twice,
            not_completed=unfinished,
            calls=len(calls),
            repeated_calls=len(calls) - len(keys),
            wrong_keys=[f"{visit}" for visit, found in keys.items() if len(found) > 1],
            contradictions=self._book.contradictions,
        )


async def _journals(store: Store) -> dict[bytes, tuple[str, Counter[tuple[str, int]]]]:
    """Every run's status and how often each visit's result is on record."""
    runs: dict[bytes, tuple[str, Counter[tuple[str, int]]]] = {}
    before = None
    while page := await store.runs(RunFilter(before=before), 200):
        before = page[-1].key
        for record in page:
            _, stored = await store.run(record.key)
            assert stored is not None
            events = [e for row in stored.entries for e in Journal.decode(row).events]
            done = Counter((e.step, e.visit) for e in events if isinstance(e, StepCompleted))
            runs[record.key] = (record.status, done)
    return runs
