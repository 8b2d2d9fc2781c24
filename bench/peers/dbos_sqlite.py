"""DBOS Transact over SQLite: `python -m bench.peers.dbos_sqlite --folder DIR --workflows N`.

Two databases: as DBOS makes it by itself (a rollback journal, SQLite's default `synchronous=FULL`),
and tuned as the hub's own store is (a write-ahead log, `synchronous=FULL`). Prints one JSON object.
What it imports is installed in the environment of the peers alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOSConfig

from bench.peers import dbos_work


def tuned_engine(url: sa.URL) -> sa.Engine:
    """An engine with a write-ahead log; the rest is what DBOS sets itself."""
    engine = sa.create_engine(url, pool_size=20, max_overflow=0)

    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "busy_timeout=30000",
            "foreign_keys=ON",
            "journal_mode=WAL",
            "synchronous=FULL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "connect", set_up)
    return engine


def main() -> None:
    """Runs one way over one database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workflows", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--way", choices=list(dbos_work.WAYS), default="threads")
    parser.add_argument("--database", choices=["default", "wal"], default="default")
    options = parser.parse_args()
    url = sa.make_url(f"sqlite:///{options.folder / 'dbos.db'}")
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url.render_as_string(hide_password=False),
        "log_level": "ERROR",
        "application_version": "1",
    }
    if options.database == "wal":
        config["system_database_engine"] = tuned_engine(url)
    found = dbos_work.run(options.way, options.workflows, options.at_once, url, config)
    with sa.create_engine(url).connect() as connection:
        mode = connection.execute(sa.text("PRAGMA journal_mode")).scalar_one()
        synchronous = connection.execute(sa.text("PRAGMA synchronous")).scalar_one()
    print(json.dumps({**found, "journal_mode": mode, "synchronous": synchronous}))


if __name__ == "__main__":
    main()
