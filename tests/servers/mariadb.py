"""A MariaDB server of the tests' own: on loopback, at a free port, with its data in a folder."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.daemon import LOOPBACK, Daemon, program
from tests.servers.ports import free_ports
from tests.servers.processes import NoServer, place_for

USER = "beltline"
PASSWORD = "a-password-of-the-tests"
START_S = 20.0
FIRST = f"""\
create database if not exists shop character set utf8mb4;
create user if not exists {USER}@'127.0.0.1' identified by '{PASSWORD}';
grant all on shop.* to {USER}@'127.0.0.1';
"""


class MariaDb:
    """A server that runs, with an empty database `shop`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @property
    def address(self) -> str:
        """The address of a connection, for `USER` with `PASSWORD`."""
        return f"mariadb://{LOOPBACK}:{self._daemon.port}/shop"

    def stop(self) -> None:
        """Ends it."""
        self._daemon.stop()

    def start(self) -> None:
        """Starts it, and returns when it has its account: it listens before that."""
        self._daemon.start()
        until = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
            except pymysql.Error as wrong:
                if time.monotonic() > until:
                    raise NoServer(f"MariaDB let nobody in: {wrong}") from wrong
                time.sleep(0.02)
            else:
                return

    def ask(self, *statements: str) -> Sequence[Sequence[Any]]:
        """The rows of the last statement; all are committed."""
        with closing(self.connect()) as opened, opened.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows = list(cursor.fetchall())
            opened.commit()
            return rows

    def connect(self) -> pymysql.Connection[Any]:
        """A connection of the test's own."""
        return pymysql.connect(
            host=LOOPBACK, port=self._daemon.port, user=USER, password=PASSWORD, database="shop"
        )


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDb]:
    """Runs a server until the block ends. Raises `NoServer`."""
    path = program("mariadbd", "mariadb-server")
    maker = program("mariadb-install-db", "mariadb-server")
    (port,) = free_ports(1)
    with place_for("mariadb", folder) as place:
        data = place.folder / "data"
        made = subprocess.run(
            [maker, "--no-defaults", f"--datadir={data}", "--skip-test-db"],
            user=place.user,
            group=place.group,
            extra_groups=None if place.user is None else [],
            cwd=place.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise NoServer(f"{maker} failed: {made.stdout[-1_000:]}{made.stderr[-1_000:]}")
        first = place.folder / "first.sql"
        first.write_text(FIRST, encoding="utf-8")
        first.chmod(0o644)
        options = [
            "--no-defaults",  # has to be the first
            f"--datadir={data}",
            f"--bind-address={LOOPBACK}",
            f"--port={port}",
            f"--socket={place.folder / 'socket'}",
            f"--pid-file={place.folder / 'pid'}",
            "--skip-name-resolve",
            "--skip-log-bin",
            f"--init-file={first}",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=32M",
        ]
        server = MariaDb(Daemon([path, *options], place, port))
        try:
            server.start()
            yield server
        finally:
            server.stop()
