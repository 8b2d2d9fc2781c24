"""Clients that handlers of one event loop share (`sdk.Clients`): opened once, kept, closed.

    use ──> kept and open? ── yes ──> given ──> the block ends ──> kept; closed when idle
                │ no                               └─ it breaks ──> closed when the last one leaves
                └──> opened; who comes meanwhile waits for the same opening

An opening is nobody's call: it goes on when the call that asked for it runs out of time, and the
next attempt finds it open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import structlog

from beltline.sdk import Client, ClientFailed, Connection

T = TypeVar("T")

CLOSE_S = 5.0
# Clients that serve one call at a time: what further calls of a connection wait for. Mail servers
# let in some ten lines of one client.
OWN_MOST = 8

_log = structlog.get_logger(__name__)
_Key = tuple[str, str]


class _Kept:
    """One client, from its opening to its end. `users` counts the calls that have it."""

    __slots__ = ("client", "connection", "is_dropped", "opening", "timer", "users")

    def __init__(
        self, client: Client[Any], connection: Connection, opening: asyncio.Task[Any]
    ) -> None:
        self.client = client
        self.connection = connection
        self.opening = opening
        self.users = 0
        self.is_dropped = False
        self.timer: asyncio.TimerHandle | None = None

    def can_be_given(self, connection: Connection) -> bool:
        """Whether a call may have it beside those that do."""
        if self.users and not self.client.is_shared:
            return False
        if not self.opening.done():
            return connection == self.connection
        return self.is_good(connection)

    def is_good(self, connection: Connection) -> bool:
        """Whether it is open, and to the account as it is now."""
        done = self.opening.done() and not self.opening.cancelled()
        return (
            done
            and self.opening.exception() is None
            and connection == self.connection
            and self.client.is_open(self.opening.result())
        )


class KeptClients:
    """The clients of one loop."""

    def __init__(self) -> None:
        self._kept: dict[_Key, list[_Kept]] = {}
        self._room: dict[_Key, asyncio.Semaphore] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, client: Client[T], connection: Connection) -> AsyncIterator[T]:
        """See `sdk.Clients`."""
        key = (connection.name, client.name)
        async with AsyncExitStack() as held:
            if not client.is_shared:
                room = self._room.setdefault(key, asyncio.Semaphore(OWN_MOST))
                await held.enter_async_context(room)
            kept = self._find(key, connection) or self._begin(key, client, connection)
            kept.users += 1
            if kept.timer is not None:
                kept.timer.cancel()
            try:
                opened: T = await asyncio.shield(kept.opening)
                try:
                    yield opened
                except ClientFailed:
                    raise
                except BaseException:
                    self._drop(kept)
                    raise
            finally:
                kept.users -= 1
                self._left(kept)

    async def close(self) -> None:
        """Closes all of them; nobody uses one any more."""
        for kept in [one for several in self._kept.values() for one in several]:
            self._drop(kept)
            self._left(kept)
        while self._closing:
            await asyncio.gather(*self._closing)

    def _find(self, key: _Key, connection: Connection) -> _Kept | None:
        for kept in list(self._kept.get(key, ())):
            if kept.can_be_given(connection):
                return kept
            if kept.opening.done() and not kept.is_good(connection):
                self._drop(kept)
                self._left(kept)
        return None

    def _begin(self, key: _Key, client: Client[T], connection: Connection) -> _Kept:
        opening = asyncio.ensure_future(client.open(connection))
        assert isinstance(opening, asyncio.Task)
        kept = _Kept(client, connection, opening)
        self._kept.setdefault(key, []).append(kept)
        opening.add_done_callback(lambda task: self._opened(kept, task))
        return kept

    def _opened(self, kept: _Kept, opening: asyncio.Task[Any]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._drop(kept)  # whoever waits is told; the next call tries again

    def _drop(self, kept: _Kept) -> None:
        """Nobody is given it any more."""
        kept.is_dropped = True
        key = (kept.connection.name, kept.client.name)
        several = self._kept.get(key, [])
        if kept in several:
            several.remove(kept)
        if not several:
            self._kept.pop(key, None)

    def _left(self, kept: _Kept) -> None:
        """Closes it after its last user, at once where it was dropped, else when it was idle."""
        if kept.users:
            return
        if kept.timer is not None:
            kept.timer.cancel()
        if not kept.is_dropped:
            loop = asyncio.get_running_loop()
            kept.timer = loop.call_later(kept.client.idle_s, self._expire, kept)
            return
        task = asyncio.create_task(_end(kept))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _expire(self, kept: _Kept) -> None:
        self._drop(kept)
        self._left(kept)


async def _end(kept: _Kept) -> None:
    """Closes a client, for a while: what does not end by itself is left to the garbage."""
    try:
        async with asyncio.timeout(CLOSE_S):
            if not kept.opening.done():
                kept.opening.cancel()
            await kept.client.close(await kept.opening)
    except (Exception, asyncio.CancelledError) as trouble:  # an opening that came to nothing, too
        _log.debug("a client did not close cleanly", client=kept.client.name, reason=str(trouble))
