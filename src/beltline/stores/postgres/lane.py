"""Connections that are made anew when they break, and calls that never wait for ever.

A lane carries one statement at a time. Whatever leaves in doubt how a statement ended (a broken
connection, no answer in time) closes the connection at once and is told as `StoreAway`: the next
call makes a new one. A link that is cut silently shows only by missing answers, so that every call
has its time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import asyncpg

from beltline.engine.ports import StoreAway
from beltline.stores.postgres.address import Address
from beltline.stores.postgres.failures import AWAY, COLLISIONS, is_away, told

CLOSED = "the store is closed"
CONNECT_S = 3.0  # for each of the address's hosts
AGAIN_AFTER_S = 0.3  # a server that is down is not asked more often by one lane
COLLISIONS_MOST = 20
KEPT_STATEMENTS = 100
SERVER_GIVES_UP_LATER_S = 1.0

Connection = Any  # asyncpg's own type has parameters that say nothing here


async def connect(address: Address, settings: Mapping[str, str] | None = None) -> Connection:
    """A connection to the first host that serves, which gives and takes keys as 16 bytes. Raises
    what asyncpg raises, of the last host that was asked.
    """
    *others, last = address.each_host
    for url in others:
        # One that is gone without a word must leave the next one its time.
        with contextlib.suppress(*AWAY):
            return await _connect(url, address, settings)
    return await _connect(last, address, settings)


async def _connect(url: str, address: Address, settings: Mapping[str, str] | None) -> Connection:
    async with asyncio.timeout(CONNECT_S):
        db = await asyncpg.connect(
            url,
            statement_cache_size=0 if address.pooled else KEPT_STATEMENTS,
            server_settings=dict(settings or {}),
        )
    try:
        await db.set_type_codec(
            "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
        )
    except BaseException:
        db.terminate()
        raise
    return db


class Lane:
    """One connection, used by one call at a time. `answer_s` is how long an answer may take; the
    server gives up soon after, since nobody hears it any more. `settings` are the server's.
    """

    def __init__(
        self, address: Address, answer_s: float, settings: Mapping[str, str] | None = None
    ) -> None:
        self._address = address
        self._answer_s = answer_s
        most_ms = round((answer_s + SERVER_GIVES_UP_LATER_S) * 1_000)
        self._settings = {"statement_timeout": str(most_ms), **(settings or {})}
        self._db: Connection | None = None
        self._turn = asyncio.Lock()
        self._try_at = 0.0
        self._is_closed = False
        self._why = "it was not tried yet"

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        """The rows of one statement, which is one transaction."""
        rows: list[Any] = await self.work(lambda db: db.fetch(statement, *values))
        return rows

    async def value(self, statement: str, *values: Any) -> Any:
        """The one value of one statement, which is one transaction."""
        rows = await self.rows(statement, *values)
        return rows[0][0] if rows else None

    async def work(self, do: Callable[[Connection], Any]) -> Any:
        """What `do` gives; it is one statement, or opens a transaction of its own. Raises the
        errors of the port, and what is the call's own mistake as it is.
        """
        if self._is_closed:
            raise RuntimeError(CLOSED)
        async with self._turn:
            for collision in range(COLLISIONS_MOST):
                try:
                    return await self._once(do)
                except COLLISIONS:
                    if collision == COLLISIONS_MOST - 1:
                        raise
        raise AssertionError("the loop returns or raises")

    async def _once(self, do: Callable[[Connection], Any]) -> Any:
        db = await self._connected()
        guard = asyncio.get_running_loop().call_later(self._answer_s, db.terminate)
        try:
            if not self._address.pooled:
                return await do(db)
            # The pooler may give every statement another connection, but not inside of one
            # transaction; what a node that is paused here holds must not be held for long.
            async with db.transaction():
                await db.execute(self._local_settings)
                return await do(db)
        except asyncio.CancelledError:
            self._drop()
            raise
        except (asyncpg.PostgresError, *AWAY) as error:
            if is_away(error) or db.is_closed():
                self._drop()
                self._why = str(error) or type(error).__name__
            failure = told(error)
            if failure is error:
                raise
            raise failure from error
        except Exception as error:
            # asyncpg trips over itself where its connection is closed between two of its steps.
            if not db.is_closed():
                raise
            self._drop()
            raise StoreAway("the database cannot be reached (the connection was closed)") from error
        finally:
            guard.cancel()

    async def _connected(self) -> Connection:
        if self._db is not None and not self._db.is_closed():
            return self._db
        loop = asyncio.get_running_loop()
        if loop.time() < self._try_at:
            raise StoreAway(f"the database cannot be reached ({self._why})")
        try:
            # A pooler refuses settings of a connection.
            settings = None if self._address.pooled else self._settings
            self._db = await connect(self._address, settings)
        except (asyncpg.PostgresError, *AWAY) as error:
            self._try_at = loop.time() + AGAIN_AFTER_S
            self._why = str(error) or type(error).__name__
            raise StoreAway(f"the database cannot be reached ({self._why})") from error
        return self._db

    @property
    def _local_settings(self) -> str:
        settings = {"idle_in_transaction_session_timeout": "5s", **self._settings}
        return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())

    def _drop(self) -> None:
        if self._db is not None:
            self._db.terminate()
            self._db = None

    async def close(self) -> None:
        """Lets the call that is under way end, and closes the connection."""
        self._is_closed = True
        async with self._turn:
            if self._db is not None:
                with contextlib.suppress(asyncpg.PostgresError, *AWAY):
                    async with asyncio.timeout(1):
                        await self._db.close()
                self._drop()


class Lanes:
    """Several lanes for calls that need not keep an order among each other."""

    def __init__(
        self,
        address: Address,
        number: int,
        answer_s: float,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._all = [Lane(address, answer_s, settings) for _ in range(number)]
        self._free: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for lane in self._all:
            self._free.put_nowait(lane)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Lane]:
        """A lane that nobody else uses meanwhile; the one used last, so that few are connected."""
        lane = await self._free.get()
        try:
            yield lane
        finally:
            self._free.put_nowait(lane)

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        """See `Lane.rows`."""
        async with self.one() as lane:
            return await lane.rows(statement, *values)

    async def value(self, statement: str, *values: Any) -> Any:
        """See `Lane.value`."""
        async with self.one() as lane:
            return await lane.value(statement, *values)

    async def close(self) -> None:
        """See `Lane.close`."""
        for lane in self._all:
            await lane.close()
