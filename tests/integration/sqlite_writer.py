"""Holding up the writer of a SQLite store, so that calls gather behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from beltline.stores.sqlite.store import SqliteStore


@asynccontextmanager
async def writer_held_up(store: SqliteStore) -> AsyncIterator[None]:
    """While inside, the writer is busy with a transaction of its own, begun and not committed."""
    entered, gate = threading.Event(), threading.Event()

    def wait_inside(_db: object) -> bool:
        entered.set()
        return gate.wait(20)

    busy = asyncio.ensure_future(store._write(wait_inside))
    assert await asyncio.to_thread(entered.wait, 20)
    try:
        yield
        await asyncio.sleep(0)  # tasks that were made inside have put their calls into the queue
    finally:
        gate.set()
    assert await busy
