"""Feeds before a whole hub: doors with faults in between, and what became of the requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from beltline.core.limits import PRODUCTION
from beltline.core.run import Status
from beltline.engine.records import RunFilter
from beltline.sdk import Connection, Secret
from beltline.sources.door import Door, Feed, Offering
from tests.unit.api.stage import Stage

AGAIN_S = 0.05  # a feed that broke off begins anew after that
PATIENCE_S = 30.0
PROCESS = "process: take\nsteps:\n  - {id: keep, module: echo, with: {n: '{{ request.n }}'}}\n"


class Killed(Exception):
    """The hub dies at this place."""


class WatchedDoor(Door):
    """A door that tells what is offered, and does what a test asks before and after."""

    def __init__(self, stage: Stage, source: str) -> None:
        hub = stage.hub
        super().__init__(
            stage.sources[source],
            hub.reception,
            hub.firing(stage.sources[source]),
            hub.store,
            hub.clock,
            hub.notes,
            PRODUCTION,
        )
        self.offered: list[Any] = []
        self.answers: list[Any] = []
        self.at_once = 0
        self.at_once_most = 0
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def offer_many(self, offerings: Sequence[Offering]) -> Any:
        self.offered += [one.value for one in offerings]
        self.at_once += len(offerings)
        self.at_once_most = max(self.at_once_most, self.at_once)
        try:
            if self.before is not None:
                await self.before()
            answers = await super().offer_many(offerings)
            if self.after is not None:
                await self.after()
        finally:
            self.at_once -= len(offerings)
        self.answers += answers
        return answers


class Running:
    """A feed that runs, and the errors that it broke off with."""

    def __init__(self, feed: Feed, *, once: bool) -> None:
        self.errors: list[Exception] = []
        self._task = asyncio.create_task(self._run(feed, once))

    async def _run(self, feed: Feed, once: bool) -> None:
        while True:
            try:
                await feed.run()
            except Exception as error:  # noqa: BLE001 - whatever it is, it begins anew
                self.errors.append(error)
            if once:
                return
            await asyncio.sleep(AGAIN_S)

    async def ended(self) -> None:
        """Waits for its end; of one that runs once."""
        await self._task

    async def stop(self) -> None:
        """Ends it, as the end of the hub does."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def fed(feed: Feed, *, once: bool = False) -> AsyncIterator[Running]:
    """Runs a feed until the block ends. With `once` it stays as it ended."""
    running = Running(feed, once=once)
    try:
        yield running
    finally:
        await running.stop()


async def until(holds: Callable[[], Awaitable[bool]], what: str = "") -> None:
    """Waits for something that another program has to do."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - it happens in another program
            await asyncio.sleep(0.02)


async def prepare(stage: Stage) -> None:
    """Publishes a process that takes anything."""
    await stage.hub.processes.publish("take", PROCESS, "yaml", "take.yaml")


async def runs(stage: Stage, source: str, status: Status | None = None) -> list[Any]:
    """The runs of a source, the oldest first."""
    records: list[Any] = []
    before: bytes | None = None
    while True:
        page = await stage.store.runs(
            RunFilter(source=source, status=status, before=before),
            200,
        )
        records += page
        if len(page) < 200:
            return records[::-1]
        before = page[-1].key


async def bodies(stage: Stage, source: str) -> list[Any]:
    """What the requests of a source say, the oldest first."""
    found = []
    for record in await runs(stage, source):
        _, stored = await stage.store.run(record.key)
        found.append(json.loads(stored.body))
    return found


async def finished(stage: Stage, source: str, count: int) -> None:
    """Waits until that many runs of a source are completed, and sees that there are no others."""

    async def are() -> bool:
        return len(await runs(stage, source, "completed")) >= count

    await until(are)
    assert len(await runs(stage, source)) == count


def connection(kind: str, address: str, user: str = "", secret: str = "") -> Connection:
    """A connection as feeds are given it."""
    return Connection(
        name=kind,
        kind=kind,
        address=address,
        secret=Secret(secret) if secret else None,
        options={"user": user},
    )
