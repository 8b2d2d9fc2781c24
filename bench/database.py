"""The PostgreSQL server under a store: its settings, copies of a database, sizes, and its log.

Every server of the benchmark runs as it comes: with PostgreSQL's default settings, `fsync` on. What
a row says about the server is read back from it.
"""

from __future__ import annotations

from tests.servers.postgres import PostgresServer

SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


def conditions(server: PostgresServer) -> str:
    """The server and those of its settings that decide what a commit costs."""
    version = server.ask("show server_version").split()[0]
    settings = ", ".join(f"{name} {server.ask(f'show {name}')}" for name in SHOWN)
    return f"PostgreSQL {version} with default settings ({settings})"


def copy(server: PostgresServer, original: str, name: str) -> str:
    """Makes `name` a copy of a database that nobody is connected to; gives its URL. What the copy
    changed is in the files of the server afterwards, so that writing it burdens no measurement.
    """
    server.drop(name)
    server.ask(f'create database "{name}" template "{original}"')
    server.ask("checkpoint")
    return server.url(name)


def wal_bytes(server: PostgresServer) -> int:
    """How many bytes the server has written to its log in all."""
    return int(server.ask("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))


def sizes(server: PostgresServer, database: str) -> dict[str, tuple[int, int]]:
    """Of each table of the runs, with all its partitions, the bytes of its rows (TOAST and maps
    included) and of its indexes.
    """
    told = server.ask(
        "select name, sum(pg_table_size(class.oid)), sum(pg_indexes_size(class.oid))"
        " from pg_class as class left join pg_inherits on inhrelid = class.oid"
        " join unnest(array['request', 'journal', 'finished', 'run', 'identity', 'held', 'inbox',"
        " 'node']) as name"
        " on coalesce(inhparent, class.oid) = ('beltline.' || name)::regclass group by name",
        database,
    )
    found: dict[str, tuple[int, int]] = {}
    for line in told.splitlines():
        name, rows, indexes = line.split("|")
        found[name] = (int(rows), int(indexes))
    return found
