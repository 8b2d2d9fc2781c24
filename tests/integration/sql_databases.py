"""The databases that the modules of `sql` are tested against, with what the tests need of them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from beltline.sdk import Connection, Secret
from tests.servers.mariadb import PASSWORD, USER, MariaDb
from tests.servers.postgres import PostgresServer

# One table with a value of each kind, as each database has them.
KINDS = {
    "sqlite": "create table kinds (id integer primary key, price text, day text, raw blob,"
    " flag int)",
    "postgresql": "create table kinds (id bigint primary key, price numeric(20,4), day timestamptz,"
    " raw bytea, flag boolean)",
    "mariadb": "create table kinds (id bigint primary key, price decimal(20,4), day datetime(6),"
    " raw varbinary(20), flag boolean)",
}
CUSTOMERS = (
    "create table customers (phone varchar(20) primary key, name varchar(50), source varchar(20),"
    " note varchar(50) default 'none')"
)
CALLS = "create table calls (id integer, phone varchar(20) not null)"
KEYS = (
    "create table beltline_calls (call_key char(32) primary key, done_at timestamp not null"
    " default current_timestamp, result text)"
)
TABLES = (CUSTOMERS, CALLS, KEYS)
NAMES = ("customers", "calls", "beltline_calls", "kinds")


class Database(Protocol):
    """A database with empty tables."""

    name: str
    connection: Connection

    async def ask(self, *statements: str) -> Sequence[Sequence[Any]]:
        """The rows of the last statement, by another way than the modules go."""
        ...


class SqliteDatabase:
    """A file."""

    name = "sqlite"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.connection = Connection("shop", "sql", f"sqlite:///{file}")

    async def ask(self, *statements: str) -> Sequence[Sequence[Any]]:
        """See `Database.ask`."""
        rows: Sequence[Sequence[Any]] = []
        with closing(sqlite3.connect(self.file)) as opened, opened:
            for statement in statements:
                rows = opened.execute(statement).fetchall()
        return rows


class PostgresDatabase:
    """A database of its own."""

    name = "postgresql"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        options = {"user": "beltline"}
        address = f"postgresql://127.0.0.1:{server.port}/shop"
        self.connection = Connection("shop", "sql", address, None, options)

    async def ask(self, *statements: str) -> Sequence[Sequence[Any]]:
        """See `Database.ask`."""
        said = ""
        for statement in statements:
            said = await asyncio.to_thread(self.server.ask, statement, "shop")
        return [
            [int(cell) if cell.isdecimal() else cell for cell in line.split("|")]
            for line in said.splitlines()
        ]


class MariaDbDatabase:
    """The one of the server."""

    name = "mariadb"

    def __init__(self, server: MariaDb) -> None:
        self.server = server
        options = {"user": USER}
        self.connection = Connection("shop", "sql", server.address, Secret(PASSWORD), options)

    async def ask(self, *statements: str) -> Sequence[Sequence[Any]]:
        """See `Database.ask`."""
        return await asyncio.to_thread(self.server.ask, *statements)
