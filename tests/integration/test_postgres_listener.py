"""The connection on which a node is woken: one that breaks is made anew, however it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beltline.stores.postgres import listener
from beltline.stores.postgres.address import Address


class AbortedConnection:
    """A connection of asyncpg that is closed between two steps of a statement."""

    def __init__(self) -> None:
        self._is_closed = False

    async def add_listener(self, _channel: str, _wake: Any) -> None:
        """Nothing comes."""

    async def fetchval(self, _statement: str) -> None:
        """As asyncpg does: it asks what it has just let go of."""
        self._is_closed = True
        raise AttributeError("'NoneType' object has no attribute 'bind_execute'")

    def is_closed(self) -> bool:
        """Whether it broke."""
        return self._is_closed

    def terminate(self) -> None:
        """It is gone."""
        self._is_closed = True


async def test_a_connection_that_is_aborted_within_a_statement_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    has_come_back = asyncio.Event()

    async def connect(_address: Address) -> Any:
        nonlocal made
        made += 1
        if made == 3:
            has_come_back.set()
        return AbortedConnection()

    monkeypatch.setattr(listener, "connect", connect)
    monkeypatch.setattr(listener, "PROBE_S", 0)
    monkeypatch.setattr(listener, "AGAIN_AFTER_S", 0)
    hears = listener.Listener(Address("postgresql://nowhere", pooled=False))
    hears.add(lambda: None)
    async with asyncio.timeout(10):
        await has_come_back.wait()
    await hears.close()
