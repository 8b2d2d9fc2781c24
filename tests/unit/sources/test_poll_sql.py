"""Polls of a database: SQLite here, PostgreSQL where its programs are."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from beltline.core.limits import TINY
from beltline.sdk import Connection
from beltline.sdk.database import as_json
from beltline.sources.door import FeedTrouble
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.processes import NoServer
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking, connection_of

HEAD = "source: shop\nkind: poll\nprocess: lead\nevery: 1m\nsql:\n  connection: shop\n"
ORDERS = (
    "  query: select id, name, changed from orders where changed > :cursor order by changed\n"
    '  id: "{{ item.id }}-{{ item.changed }}"\n  cursor: "{{ item.changed }}"\n'
)


MANY = """\
  query: |
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) select i from n
"""


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    execute(
        path,
        "create table orders (id integer primary key, name text, changed text)",
        "insert into orders values (1, 'Anna', '2026-01-01 10:00:00')",
        "insert into orders values (2, 'Bob', '2026-01-01 11:00:00')",
    )
    return path


def looking(
    stage: Stage, home: Path, rest: str, *, account: Connection | None = None, **more: Any
) -> Looking:
    account = account or connection_of("shop", "sqlite:///shop.db")
    return Looking(stage, HEAD + rest, home, account, **more)


async def test_new_rows_come_once_and_changed_ones_again(stage: Stage, file: Path) -> None:
    shop = looking(stage, file.parent, ORDERS + '  start: ""\n')
    await shop.look()
    await shop.look()
    assert await shop.bodies() == [
        {"id": 1, "name": "Anna", "changed": "2026-01-01 10:00:00"},
        {"id": 2, "name": "Bob", "changed": "2026-01-01 11:00:00"},
    ]
    execute(file, "update orders set name = 'Ann', changed = '2026-01-02 00:00:00' where id = 1")
    shop.again()
    await shop.look()
    assert [one["name"] for one in await shop.bodies()] == ["Anna", "Bob", "Ann"]
    assert await shop.door.cursor() == {"cursor": "2026-01-02 00:00:00"}


async def test_what_comes_in_is_data_and_never_a_statement(stage: Stage, file: Path) -> None:
    execute(file, "insert into orders values (3, 'x', '2027'' or 1=1; drop table orders; --')")
    shop = looking(stage, file.parent, ORDERS + '  start: ""\n')
    await shop.look()
    await shop.look()
    execute(file, "insert into orders values (4, 'y', '2028')")
    await shop.look()
    assert [one["id"] for one in await shop.bodies()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("  query: select * from nowhere\n", "no such table: nowhere"),
        ("  query: select id, name as id from orders\n", "two columns of the query have one name"),
        ("  query: delete from orders returning id\n", "readonly database"),
        (MANY, "more than 5 rows (limit poll_rows: "),
    ],
)
async def test_what_goes_wrong_says_why(stage: Stage, file: Path, rest: str, reason: str) -> None:
    with pytest.raises(FeedTrouble) as caught:
        await looking(stage, file.parent, rest, limits=TINY).look()
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:///missing.db", "unable to open"),
        ("nosuch://db.example/x", "no database is known by the address"),
        ("oracle+oracledb://db.example/x", "is not installed"),
    ],
)
async def test_addresses_that_lead_nowhere(
    stage: Stage, file: Path, address: str, reason: str
) -> None:
    account = connection_of("shop", address)
    with pytest.raises(FeedTrouble) as caught:
        await looking(stage, file.parent, "  query: select 1\n", account=account).look()
    assert reason in str(caught.value)


async def test_a_query_that_still_runs_is_not_asked_again(
    stage: Stage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.sources.poll.sql.QUERY_S", 0)
    monkeypatch.setattr("beltline.sources.poll.sql.CONNECT_S", 0)
    shop = looking(stage, file.parent, "  query: select id from orders\n")
    question = shop.feed._question
    let_go = asyncio.Event()
    loop = asyncio.get_running_loop()
    rows = question._rows

    def slow(*given: Any) -> Any:
        asyncio.run_coroutine_threadsafe(let_go.wait(), loop).result()
        return rows(*given)

    monkeypatch.setattr(question, "_rows", slow)
    with pytest.raises(FeedTrouble, match="no answer within 0 s"):
        await shop.look()
    with pytest.raises(FeedTrouble, match="still runs"):
        await shop.look()
    let_go.set()
    await asyncio.to_thread(question._thread.shutdown)


def test_values_as_json() -> None:
    assert as_json(Decimal("12.50")) == "12.50"
    assert as_json(2**63) == "9223372036854775808"
    assert as_json(float("nan")) is None
    assert as_json(memoryview(b"\x00\xff")) == "AP8="
    assert as_json({"a": (Decimal(1), b"")}) == {"a": ["1", ""]}


# PostgreSQL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    try:
        with postgres(tmp_path_factory.mktemp("pg"), durable=False) as running:
            yield running
    except NoServer as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def database(server: PostgresServer) -> AsyncIterator[str]:
    await asyncio.to_thread(server.database, "shop")
    yield "shop"
    await asyncio.to_thread(server.drop, "shop")


async def test_postgresql_with_a_time_as_its_cursor(
    stage: Stage, server: PostgresServer, database: str, tmp_path: Path
) -> None:
    def ask(sql: str) -> Any:
        return asyncio.to_thread(server.ask, sql, database)

    await ask(
        "create table orders (id bigint, name text, price numeric(9,2), tags jsonb,"
        " changed timestamptz)"
    )
    await ask("insert into orders values (1, 'Anna', 12.50, '[1, {}]', '2026-01-01 10:00:00Z')")
    account = connection_of("shop", f"postgresql://127.0.0.1:{server.port}/{database}", "beltline")
    shop = looking(
        stage,
        tmp_path,
        "  query: |\n    select * from orders where changed > :cursor and name <> 'a\\:b'\n"
        '  cursor: "{{ item.changed }}"\n  start: "2000-01-01"\n',
        account=account,
    )
    await shop.look()
    await ask("insert into orders values (2, 'Bob', null, null, '2026-01-01 10:00:00.000001Z')")
    await shop.look()
    await shop.look()
    first, second = await shop.bodies()
    assert first["price"] == "12.50"
    assert first["tags"] == [1, {}]
    assert first["changed"].startswith("2026-01-01T")
    assert (second["id"], second["price"]) == (2, None)
    with pytest.raises(FeedTrouble, match="does not exist"):
        await looking(stage, tmp_path, "  query: select * from none\n", account=account).look()
    writes = "  query: with gone as (delete from orders returning id) select * from gone\n"
    with pytest.raises(FeedTrouble, match="data-modifying"):
        await looking(stage, tmp_path, writes, account=account).look()
    assert (await ask("select count(*) from orders")).strip() == "2"
