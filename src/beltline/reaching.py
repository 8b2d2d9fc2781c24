"""How a hub reaches its store when that is away: after an outage many start at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from beltline.engine.ports import Store, StoreAway, StoreFull
from beltline.settings import Home, Settings
from beltline.stores import StoreUnreachable, open_store
from beltline.stores.postgres.sharing import DAY_MS, MINUTE_MS, Sharing

_log = structlog.get_logger()
_T = TypeVar("_T")

ASK_AGAIN_S = 0.5
WAIT_FOR_STORE_S = 60.0


async def open_waiting(home: Home, url: str, *, durable: bool) -> Store:
    """Opens the store of a home. A database that does not answer is waited for a while; then this
    raises `StoreUnreachable`, and the other errors of `stores.open_store` at once.
    """
    sharing = sharing_of(home.settings)
    until = asyncio.get_running_loop().time() + WAIT_FOR_STORE_S
    is_told = False
    while True:
        try:
            return await open_store(url, exclusive=True, durable=durable, sharing=sharing)
        except StoreUnreachable as away:
            if asyncio.get_running_loop().time() > until:
                raise
            if not is_told:
                _log.warning("waiting for the store", reason=str(away), seconds=WAIT_FOR_STORE_S)
                is_told = True
            await asyncio.sleep(ASK_AGAIN_S)


async def when_reachable(ask: Callable[[], Awaitable[_T]]) -> _T:
    """What a call of the store gives, however long the store is away or full. It may be asked more
    than once, and what it asks for may have happened before.
    """
    while True:
        try:
            return await ask()
        except (StoreAway, StoreFull) as trouble:
            _log.warning("the store cannot be used yet", reason=str(trouble))
            await asyncio.sleep(ASK_AGAIN_S)


def sharing_of(settings: Settings) -> Sharing:
    """How this node shares a PostgreSQL store."""
    nodes, retention = settings.nodes, settings.retention
    partition_ms = round(retention.partition_days * DAY_MS)
    return Sharing(
        name=nodes.name,
        lease_ms=round(nodes.lease_s * 1_000),
        keep_ms=round(retention.keep_days * DAY_MS),
        partition_ms=max(MINUTE_MS, partition_ms) if partition_ms else 0,
    )
