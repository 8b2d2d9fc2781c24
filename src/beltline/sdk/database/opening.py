"""Connects to the database of a connection, for one transaction.

A connection is opened for each transaction and closed after it: nothing is left from one call to
the next, and a database that was away is not met through a connection that has died.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from beltline.sdk.connection import Connection

CONNECT_S = 20
# The database ends a statement by itself; where it has gone silent, the client gives up after this.
SILENT_S = 5
_WHOLE_FROM_S = 2
# How many steps of SQLite's machine pass between two looks at the time: about a millisecond.
_SQLITE_STEPS = 20_000
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


class NoDatabase(Exception):
    """The operator: the connection does not lead to a database. The text says what to change."""


@contextmanager
def transaction(
    connection: Connection | None, *, writes: bool, timeout_s: float
) -> Iterator[sqlalchemy.Connection]:
    """One transaction, which is committed at the end of the block if it `writes`, and else undone;
    without `writes` the database refuses every change. A statement that takes longer than
    `timeout_s` is broken off. Raises `NoDatabase`, and `SQLAlchemyError`.
    """
    if connection is None:
        raise NoDatabase("the step needs a connection of the kind sql: add `connection: NAME`")
    engine = engine_of(connection, writes=writes, timeout_s=timeout_s)
    with engine.connect() as opened:
        if not writes and engine.name in ("mysql", "mariadb"):
            opened.exec_driver_sql("START TRANSACTION READ ONLY")
        yield opened
        if writes:
            opened.commit()


def engine_of(connection: Connection, *, writes: bool, timeout_s: float) -> Engine:
    """What connects to the database; see `transaction`. Raises `NoDatabase`."""
    try:
        url = make_url(connection.address)
        if url.get_backend_name() == "sqlite":
            opens = partial(_open_sqlite, url.database or "", writes, timeout_s)
            return create_engine("sqlite://", creator=opens, poolclass=NullPool)
        user = str(connection.options.get("user") or "")
        secret = None if connection.secret is None else connection.secret.reveal()
        # Whole seconds, so that calls with nearly the same time left have one engine.
        whole_s = float(math.floor(timeout_s)) if timeout_s >= _WHOLE_FROM_S else timeout_s
        return _server_engine(connection.address, user, secret, writes, whole_s)
    except NoSuchModuleError as wrong:
        raise NoDatabase(
            f"no database is known by the address of the connection {connection.name!r}: write"
            " postgresql://, mariadb://, mysql:// or sqlite:///"
        ) from wrong
    except ModuleNotFoundError as missing:
        raise NoDatabase(f"the driver {missing.name} is not installed") from missing
    except ArgumentError as wrong:
        raise NoDatabase(
            f"the address of the connection {connection.name!r} is none of a database"
        ) from wrong


@lru_cache(maxsize=64)
def _server_engine(
    address: str, user: str, secret: str | None, writes: bool, timeout_s: float
) -> Engine:
    """An engine asks a server about its version and ways at its first connection: it is kept for
    the next, which spares most of the work of a short query. It holds no connection.
    """
    url = make_url(address)
    url = url.set(
        drivername=_DRIVERS.get(url.drivername, url.drivername),
        username=user or None,
        password=secret,
    )
    return create_engine(url, poolclass=NullPool, connect_args=_arguments(url, writes, timeout_s))


def _open_sqlite(file: str, writes: bool, timeout_s: float) -> sqlite3.Connection:
    """A file that is missing is not made: a wrong path would be an empty database."""
    opened = sqlite3.connect(
        f"file:{quote(file)}?mode={'rw' if writes else 'ro'}",
        uri=True,
        timeout=min(timeout_s, CONNECT_S),
        check_same_thread=False,
        isolation_level="IMMEDIATE",  # two that write wait for each other, and none fails half-way
    )
    until = time.monotonic() + timeout_s
    opened.set_progress_handler(lambda: time.monotonic() > until, _SQLITE_STEPS)
    return opened


def _arguments(url: URL, writes: bool, timeout_s: float) -> dict[str, Any]:
    """How a driver is told of the time that there is, and of reading only."""
    connect_s = max(1, min(CONNECT_S, math.ceil(timeout_s)))
    match url.get_driver_name():
        case "psycopg":
            options = f"-c statement_timeout={max(1, math.ceil(timeout_s * 1_000))}"
            if not writes:
                options += " -c default_transaction_read_only=on"
            return {
                "connect_timeout": max(2, connect_s),  # less than 2 s means 2 s there
                "options": options,
                "keepalives_idle": 5,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": math.ceil((timeout_s + SILENT_S) * 1_000),
            }
        case "pymysql":
            whole_s = max(1, math.ceil(timeout_s))
            return {
                "connect_timeout": connect_s,
                "read_timeout": whole_s + SILENT_S,
                "write_timeout": whole_s + SILENT_S,
                # What stands in this comment is read by MariaDB and not by MySQL.
                "init_command": f"SET SESSION /*M! max_statement_time={max(0.001, timeout_s)}, */"
                f" innodb_lock_wait_timeout={whole_s}",
            }
        case _:
            return {}
