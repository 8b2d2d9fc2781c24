"""`sql.query`, `sql.execute` and `sql.upsert` against SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.modules.sql import execute, query, upsert
from beltline.sdk import Connection, Reject, Retry
from beltline.sdk.testing import BOUNDS, answer, given
from tests.integration.sql_databases import (
    KINDS,
    NAMES,
    TABLES,
    Database,
    MariaDbDatabase,
    PostgresDatabase,
    SqliteDatabase,
)
from tests.servers.mariadb import MariaDb, mariadb
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.wanted import wanted

INSERT = "insert into calls (id, phone) values (1, :phone)"


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with wanted(postgres(tmp_path_factory.mktemp("pg"), durable=False)) as server:
        server.database("shop")
        yield server


@pytest.fixture(scope="module")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with wanted(mariadb(tmp_path_factory.mktemp("mariadb"))) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    made: Database
    match request.param:
        case "sqlite":
            made = SqliteDatabase(tmp_path / "shop.db")
        case "postgresql":
            made = PostgresDatabase(request.getfixturevalue("postgres_server"))
        case _:
            made = MariaDbDatabase(request.getfixturevalue("mariadb_server"))
    await made.ask(*(f"drop table if exists {name}" for name in NAMES))
    await made.ask(*TABLES, KINDS[made.name])
    return made


async def asked(database: Database, statement: str, **more: Any) -> Any:
    return await call(query, database, {"statement": statement, **more})


async def call(module: Any, database: Database, config: dict[str, Any], **context: Any) -> Any:
    given_context = given(connection=database.connection, **context)
    return await asyncio.to_thread(asyncio.run, answer(module.module, config, given_context))


async def count(database: Database, table: str) -> int:
    return int((await database.ask(f"select count(*) from {table}"))[0][0])


# Asking


async def test_rows_are_objects_and_values_go_apart(database: Database) -> None:
    await database.ask(
        "insert into customers (phone, name) values ('1', 'Anna'), ('2', 'Боб'), ('3', 'x')"
    )
    hostile = "1' or 1=1; drop table customers; --"
    statement = "select phone, name from customers where phone = :phone"
    assert (await asked(database, statement, parameters={"phone": hostile}))["count"] == 0
    assert await asked(database, statement, parameters={"phone": "2"}) == {
        "rows": [{"phone": "2", "name": "Боб"}],
        "first": {"phone": "2", "name": "Боб"},
        "count": 1,
    }
    several = "select phone from customers where phone in :phones order by phone"
    found = await asked(database, several, parameters={"phones": ["1", "3", hostile]})
    assert [row["phone"] for row in found["rows"]] == ["1", "3"]
    assert await count(database, "customers") == 3


async def test_values_come_without_loss(database: Database) -> None:
    raw = {"sqlite": "x'00ff'", "postgresql": "'\\x00ff'", "mariadb": "x'00ff'"}[database.name]
    await database.ask(
        "insert into kinds values (9007199254740993, '12345678901234.1000',"
        f" '2026-01-02 03:04:05.000006', {raw}, {'true' if database.name != 'sqlite' else 1})"
    )
    row = (await asked(database, "select * from kinds"))["first"]
    assert row["id"] == 9_007_199_254_740_993
    assert row["price"] == "12345678901234.1000"
    assert row["day"].replace(" ", "T").startswith("2026-01-02T03:04:05.000006")
    assert row["raw"] == "AP8="
    assert row["flag"] in (True, 1)


async def test_rows_are_bounded_and_the_bound_is_named(database: Database) -> None:
    values = ", ".join(f"({number}, '{'x' * 20}')" for number in range(120))
    await database.ask(f"insert into calls values {values}")
    one = await asked(database, "select id from calls", limit=50)
    assert one.reason.startswith("the query gives more than 50 rows (raise `limit`")
    tiny = given(connection=database.connection)
    many = await asked(database, "select id from calls", limit=10_000)
    assert "more than 100 rows (limit module_rows" in many.reason
    assert tiny.bounds is BOUNDS
    bounds = msgspec.structs.replace(BOUNDS, result_bytes=500)
    config = {"statement": "select phone from calls", "limit": 100}
    large = await call(query, database, config, bounds=bounds)
    assert "more than 500 bytes (limit result_bytes" in large.reason
    whole = await asked(database, "select id from calls where id < 100", limit=100)
    assert whole["count"] == 100


async def test_asking_changes_nothing(database: Database) -> None:
    writes = {
        "sqlite": "insert into calls values (1, 'x') returning id",
        "postgresql": "select setval(pg_get_serial_sequence('counted', 'id'), 7)",
        "mariadb": "insert into calls values (1, 'x') returning id",
    }[database.name]
    if database.name == "postgresql":
        await database.ask("drop table if exists counted", "create table counted (id serial)")
    refused = await asked(database, writes)
    assert isinstance(refused, Reject)
    assert "read" in refused.reason.lower()
    assert await count(database, "calls") == 0


@pytest.mark.parametrize(
    ("statement", "parameters", "reason"),
    [
        ("selec 1", {}, "syntax"),
        ("select * from nowhere", {}, "nowhere"),
        ("select :a as a", {}, "`parameters` has none of this name"),
        ("select 1 as a", {"b": 1}, "'b', which the statement does not use"),
        ("select 1 as a, 2 as a", {}, "two columns of the query have one name"),
        ("select :a as a", {"a": {"x": 1}}, "`a` is an object"),
        ("select :a as a", {"a": "\x00"}, "holds a NUL"),
        ("select 1 as a from calls where id in :ids", {"ids": []}, "`ids` is an empty list"),
        ("select 1 as a from calls where id in :ids", {"ids": [[]]}, "a list in a list"),
    ],
)
async def test_what_the_author_has_to_mend_is_rejected(
    database: Database, statement: str, parameters: dict[str, Any], reason: str
) -> None:
    outcome = await asked(database, statement, parameters=parameters)
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason


async def test_a_statement_that_takes_too_long_is_broken_off_and_tried_again(
    database: Database,
) -> None:
    slow = {
        "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n)"
        " select count(*) as n from n",
        "postgresql": "select pg_sleep(30)",
        "mariadb": "select sleep(30) as s from kinds, (select 1 union select 2) as two",
    }[database.name]
    if database.name == "mariadb":
        await database.ask("insert into kinds (id) values (1)")
    outcome = await asyncio.wait_for(asked(database, slow, timeout="200ms"), 15)
    assert isinstance(outcome, Retry), outcome


async def test_a_database_that_is_away_is_tried_again(database: Database, tmp_path: Path) -> None:
    if database.name == "sqlite":
        gone = Connection("shop", "sql", f"sqlite:///{tmp_path / 'gone.db'}")
        statement = {"statement": "select 1 as a"}
        outcome = await answer(query.module, statement, given(connection=gone))
        assert outcome == Reject("the database says: unable to open database file")
        assert not (tmp_path / "gone.db").exists()
        return
    address = database.connection.address.rpartition(":")[0] + ":1/shop"
    away = msgspec.structs.replace(database.connection, address=address)
    outcome = await asyncio.to_thread(
        asyncio.run, answer(query.module, {"statement": "select 1 as a"}, given(connection=away))
    )
    assert isinstance(outcome, Retry), outcome
    assert "a-password" not in outcome.reason


# Changing


async def test_a_change_is_committed_and_counted(database: Database) -> None:
    config = {"statement": INSERT, "parameters": {"phone": "7"}}
    assert await call(execute, database, config) == {"count": 1, "rows": [], "repeated": False}
    change = {"statement": "update calls set id = 2 where phone in :p", "parameters": {"p": ["7"]}}
    assert (await call(execute, database, change))["count"] == 1
    assert await database.ask("select id, phone from calls") in ([(2, "7")], [[2, 7]])


async def test_without_once_a_repeat_changes_again(database: Database) -> None:
    config = {"statement": INSERT, "parameters": {"phone": "7"}}
    for attempt in (1, 2):
        await call(execute, database, config, attempt=attempt)
    assert await count(database, "calls") == 2


async def test_with_once_a_repeat_gives_the_first_result(database: Database) -> None:
    returning = "" if database.name == "mysql" else " returning id"
    config = {
        "statement": INSERT + returning,
        "parameters": {"phone": "7"},
        "once": "beltline_calls",
    }
    first = await call(execute, database, config)
    again = await call(execute, database, config, attempt=2)
    other = await call(execute, database, config, run="run-2")
    assert first["rows"] == [{"id": 1}]
    assert again == {**first, "repeated": True}
    assert other["repeated"] is False
    assert await count(database, "calls") == 2


async def test_two_calls_at_once_change_once(database: Database) -> None:
    config = {"statement": INSERT, "parameters": {"phone": "7"}, "once": "beltline_calls"}
    outcomes = await asyncio.gather(*(call(execute, database, config) for _ in range(8)))
    told = [one for one in outcomes if isinstance(one, dict)]
    assert sum(not one["repeated"] for one in told) == 1
    # Who lost a race may be told to come again, and never that it was wrong.
    assert all(isinstance(one, dict | Retry) for one in outcomes), outcomes
    assert await count(database, "calls") == 1


async def test_what_fails_leaves_neither_a_change_nor_a_key(database: Database) -> None:
    config = {"statement": INSERT, "parameters": {"phone": None}, "once": "beltline_calls"}
    outcome = await call(execute, database, config)
    assert isinstance(outcome, Reject)
    assert "null" in outcome.reason.lower()
    assert await count(database, "beltline_calls") == 0
    config["parameters"] = {"phone": "7"}
    assert (await call(execute, database, config))["repeated"] is False
    assert await count(database, "calls") == 1


async def test_a_missing_table_of_keys_is_told_with_its_statement(database: Database) -> None:
    config = {"statement": INSERT, "parameters": {"phone": "7"}, "once": "no_such_keys"}
    outcome = await call(execute, database, config)
    assert isinstance(outcome, Reject)
    statement = outcome.reason.partition("make it: ")[2]
    await database.ask("drop table if exists no_such_keys", statement)
    assert (await call(execute, database, config))["repeated"] is False
    await database.ask("drop table no_such_keys")


async def test_too_many_rows_undo_the_change(database: Database) -> None:
    await database.ask("insert into calls values (1, 'a'), (1, 'b')")
    statement = "delete from calls where id = 1 returning phone"
    outcome = await call(execute, database, {"statement": statement, "limit": 1})
    assert isinstance(outcome, Reject)
    assert await count(database, "calls") == 2


# Putting


def putting(rows: Any, **more: Any) -> dict[str, Any]:
    return {
        "table": "customers", "key": ["phone"], "columns": ["name", "source"], "rows": rows, **more
    }  # fmt: skip


async def test_rows_are_added_or_changed_and_the_rest_is_left(database: Database) -> None:
    rows = [
        {"phone": "1", "name": "Anna", "source": "WEB", "note": "not asked for"},
        {"phone": "2", "name": None, "source": "100%"},
    ]
    for _ in range(2):
        assert await call(upsert, database, putting(rows)) == {"count": 2}
    changed = putting({"phone": "1", "name": "Ann", "source": "'; drop table c"})
    assert await call(upsert, database, changed) == {"count": 1}
    kept = putting({"phone": "1", "name": "X", "source": "X"}, existing="keep")
    assert await call(upsert, database, kept) == {"count": 1}
    found = await asked(database, "select * from customers order by phone")
    assert [tuple(row.values()) for row in found["rows"]] == [
        ("1", "Ann", "'; drop table c", "none"),
        ("2", None, "100%", "none"),
    ]


async def test_all_rows_are_put_or_none(database: Database) -> None:
    rows = [{"phone": str(number), "name": "x" * number, "source": ""} for number in (1, 60)]
    if database.name == "sqlite":  # it takes texts of any length
        await database.ask("create unique index names on customers (name)")
        rows[1]["name"] = "x"
    outcome = await call(upsert, database, putting(rows))
    assert isinstance(outcome, Reject)
    assert await count(database, "customers") == 0


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (putting([{"phone": "1", "name": "x"}]), "row 1 has no 'source'"),
        (putting({"phone": None, "name": "x", "source": "x"}), "a part of the key"),
        (putting([], key=["name"], columns=[]), "no primary key or unique index over exactly name"),
        (putting([], table="nowhere"), "there is no table 'nowhere'"),
        (putting({"phone": "1", 'x"y`z': "1"}, columns=['x"y`z']), "x"),
        (putting([{}] * 101), "limit module_rows"),
    ],
)
async def test_rows_that_cannot_be_put(
    database: Database, config: dict[str, Any], reason: str
) -> None:
    outcome = await call(upsert, database, config)
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason
    assert await count(database, "customers") == 0


# What only a server does


async def test_a_deadlock_is_tried_again(
    postgres_server: PostgresServer, mariadb_server: MariaDb
) -> None:
    """Two transactions wait for each other, until the server ends one of them."""
    for made in (PostgresDatabase(postgres_server), MariaDbDatabase(mariadb_server)):
        await made.ask(*(f"drop table if exists {name}" for name in NAMES))
        await made.ask(*TABLES, "insert into customers (phone) values ('1'), ('2')")
        sleep = "pg_sleep(1)" if made.name == "postgresql" else "sleep(1)"

        def both(first: str, second: str, sleep: str = sleep) -> dict[str, Any]:
            # One statement that takes one row, waits, and takes the other.
            rows = f"select phone, {sleep} from customers where phone in ('{first}', '{second}')"
            order = "" if first < second else " desc"
            return {"statement": f"{rows} order by phone{order} for update"}

        outcomes = await asyncio.gather(
            call(execute, made, both("1", "2")), call(execute, made, both("2", "1"))
        )
        assert any(isinstance(one, Retry) and "eadlock" in one.reason for one in outcomes), outcomes
        assert not any(isinstance(one, Reject) for one in outcomes)


async def test_a_server_that_goes_away_under_a_statement(mariadb_server: MariaDb) -> None:
    made = MariaDbDatabase(mariadb_server)
    waiting = asyncio.create_task(asked(made, "select sleep(20) as s"))
    shown = "select 1 from information_schema.processlist where info like 'select sleep(20)%'"
    while not await made.ask(shown):
        pass
    await asyncio.to_thread(mariadb_server.stop)
    try:
        assert isinstance(await waiting, Retry)
    finally:
        await asyncio.to_thread(mariadb_server.start)
    assert (await asked(made, "select 1 as a"))["count"] == 1
