"""Asks a database. The query runs in a thread of its own, in a transaction that is undone."""

from __future__ import annotations

import asyncio
import base64
import math
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from beltline.definition.poll import SqlPoll
from beltline.sdk import Connection
from beltline.sources.door import FeedTrouble
from beltline.sources.poll.feed import Page
from beltline.sources.surroundings import Surroundings

CONNECT_S = 20
QUERY_S = 60
_LARGEST = 2**63


class SqlQuestion:
    """One look at a database."""

    def __init__(self, asks: SqlPoll, around: Surroundings) -> None:
        self._asks = asks
        self._around = around
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sql")
        self._is_asking = False

    async def pages(self, cursor: Any) -> AsyncIterator[Page]:
        """The one answer of a look."""
        if self._is_asking:
            raise FeedTrouble("the query of an earlier look still runs")
        engine = engine_of(self._around.account(self._asks.connection), self._around.home)
        ask = partial(self._rows, engine, cursor)
        self._is_asking = True
        asked = asyncio.get_running_loop().run_in_executor(self._thread, ask)
        asked.add_done_callback(self._answered)
        try:
            rows = await asyncio.wait_for(asyncio.shield(asked), QUERY_S + CONNECT_S)
        except TimeoutError:
            raise FeedTrouble(f"the query gave no answer within {QUERY_S + CONNECT_S} s") from None
        except SQLAlchemyError as wrong:
            raise FeedTrouble(_reason(wrong)) from wrong
        yield Page(rows)

    def _answered(self, asked: asyncio.Future[list[Any]]) -> None:
        self._is_asking = False
        if not asked.cancelled():
            asked.exception()  # it was told, or nobody waits for it any more

    def _rows(self, engine: Engine, cursor: Any) -> list[Any]:
        """Runs in the thread."""
        most = self._around.limits.poll_rows
        values = {"cursor": cursor} if self._asks.takes_cursor else {}
        with engine.connect() as connection:
            result = connection.execution_options(
                stream_results=True, max_row_buffer=1_000
            ).execute(text(self._asks.query), values)
            names = list(result.keys())
            if len(set(names)) != len(names):
                raise FeedTrouble("two columns of the query have one name: name them with `as`")
            rows = result.fetchmany(most + 1)
            if len(rows) > most:
                raise FeedTrouble(
                    f"the query gives more than {most:,} rows (limit poll_rows): add `order by` the"
                    " cursor and a `limit`"
                )
            return [
                {name: as_json(value) for name, value in zip(names, row, strict=True)}
                for row in rows
            ]


def engine_of(connection: Connection, home: Path) -> Engine:
    """What connects to the database of a connection; a relative path of SQLite begins at the home.
    Raises `FeedTrouble`.
    """
    try:
        url = make_url(connection.address)
        if url.get_backend_name() == "sqlite":
            file = home / (url.database or "")
            return create_engine(
                "sqlite://", creator=partial(_open_sqlite, file), poolclass=NullPool
            )
        user = str(connection.options.get("user") or "")
        secret = None if connection.secret is None else connection.secret.reveal()
        url = url.set(username=user or None, password=secret)
        return create_engine(url, poolclass=NullPool, connect_args=_arguments(url))
    except NoSuchModuleError as wrong:
        raise FeedTrouble(f"no database is known by the address of {connection.name!r}") from wrong
    except ModuleNotFoundError as missing:
        raise FeedTrouble(f"the driver {missing.name} is not installed") from missing
    except ArgumentError as wrong:
        raise FeedTrouble(f"the address of {connection.name!r} is none of a database") from wrong


def _open_sqlite(file: Path) -> sqlite3.Connection:
    """For reading: a file that is missing is not made."""
    return sqlite3.connect(
        f"file:{quote(str(file.absolute()))}?mode=ro",
        uri=True,
        timeout=CONNECT_S,
        check_same_thread=False,
    )


def _arguments(url: URL) -> dict[str, Any]:
    if url.get_driver_name() == "psycopg":
        return {
            "connect_timeout": CONNECT_S,
            "options": f"-c statement_timeout={QUERY_S * 1_000}",
        }
    return {}


def as_json(value: Any) -> Any:
    """A value of a database as JSON: what JSON has no type for is a text. Decimals are texts too,
    since they are exact; a float that is no number is nothing.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _reason(error: SQLAlchemyError) -> str:
    """The database's own words, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]
