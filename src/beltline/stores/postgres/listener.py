"""The connection on which the database wakes this node (LISTEN/NOTIFY).

A wake-up that is lost costs at most the second until the next look, so nothing here is waited for:
a connection that broke is made anew, and after that everyone is woken once, for what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg

from beltline.stores.postgres.address import Address
from beltline.stores.postgres.failures import AWAY
from beltline.stores.postgres.lane import Connection, connect

CHANNEL = "beltline"
AGAIN_AFTER_S = 1.0
PROBE_S = 10.0  # a link that was cut silently shows by a question without an answer
ANSWER_S = 3.0


class Listener:
    """Calls those who listen whenever a notification comes."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._wakes: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, wake: Callable[[], None]) -> None:
        """Has `wake` called; the first one opens the connection."""
        self._wakes.append(wake)
        if self._task is None and not self._address.pooled:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Hears nothing more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _wake_all(self, *_: object) -> None:
        for wake in self._wakes:
            wake()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(asyncpg.PostgresError, *AWAY):
                db = await connect(self._address)
                try:
                    await self._hear(db)
                except Exception:
                    # asyncpg trips over itself where its connection is closed between two of its
                    # steps: see lane.py.
                    if not db.is_closed():
                        raise
                finally:
                    db.terminate()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _hear(self, db: Connection) -> None:
        """Until the connection breaks."""
        loop = asyncio.get_running_loop()
        await db.add_listener(CHANNEL, self._wake_all)
        self._wake_all()
        while not db.is_closed():
            await asyncio.sleep(PROBE_S)
            guard = loop.call_later(ANSWER_S, db.terminate)
            try:
                await db.fetchval("SELECT 1")
            finally:
                guard.cancel()
