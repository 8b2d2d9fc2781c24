"""DBOS Transact over PostgreSQL: `python -m bench.peers.dbos_postgres --url URL --workflows N`.

The server is the tests' own (`tests/servers/postgres.py`), with PostgreSQL's default settings:
`fsync` and `synchronous_commit` are on, and are read back from it. Prints one JSON object.
What it imports is installed in the environment of the peers alone.
"""

from __future__ import annotations

import argparse
import json

import sqlalchemy as sa
from dbos import DBOSConfig

from bench.peers import dbos_work


def main() -> None:
    """Runs one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="postgresql+psycopg://user@host:port/database")
    parser.add_argument("--workflows", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--way", choices=list(dbos_work.WAYS), default="threads")
    options = parser.parse_args()
    url = sa.make_url(options.url)
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": options.url,
        "log_level": "ERROR",
        "application_version": "1",
    }
    found = dbos_work.run(
        options.way, options.workflows, options.at_once, url, config, schema="dbos"
    )
    with sa.create_engine(url).connect() as connection:
        settings = {
            name: connection.execute(sa.text(f"SHOW {name}")).scalar_one()
            for name in ("server_version", "fsync", "synchronous_commit")
        }
    print(json.dumps({**found, **settings}))


if __name__ == "__main__":
    main()
