"""PgBouncer before a PostgreSQL server of the tests: what a pooled installation looks like.

It pools by transaction: two transactions of one client may come to different connections of the
server, so nothing that a session keeps (prepared statements, LISTEN, advisory locks) holds.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import install
from tests.servers.ports import free_ports
from tests.servers.postgres import LOOPBACK, USER, PostgresServer
from tests.servers.processes import NoServer, place_for

START_S = 10

SETTINGS = """\
[databases]
{database} = host={host} port={server_port} dbname={database} user={user}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 200
default_pool_size = 20
server_reset_query_always = 0
"""


class NoPgBouncer(NoServer):
    """The operator: PgBouncer is not installed, or did not start. The text says why."""


def program() -> str:
    """The path of `pgbouncer`, which is installed when it is missing. Raises `NoPgBouncer`."""
    for _ in range(2):
        # Debian keeps it in /usr/sbin, which is not on everybody's path.
        found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if found:
            return found
        if not install("pgbouncer"):
            break
    raise NoPgBouncer("PgBouncer is not installed (on Debian: apt-get install pgbouncer)")


@contextmanager
def pgbouncer(folder: Path, server: PostgresServer, database: str) -> Iterator[str]:
    """Runs a PgBouncer before a database of the server until the block ends; gives the URL of the
    database through it. Raises `NoServer`.
    """
    path = program()
    (port,) = free_ports(1)
    with place_for("pgbouncer", folder) as place:
        settings = place.folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                database=database, host=LOOPBACK, port=port, server_port=server.port, user=USER
            ),
            encoding="utf-8",
        )
        log = place.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [path, str(settings)],
                user=place.user,
                group=place.group,
                extra_groups=None if place.user is None else [],
                cwd=place.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_for(port, process, log)
            yield f"postgresql://{USER}@{LOOPBACK}:{port}/{database}"
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise NoPgBouncer(f"pgbouncer did not start: {log.read_text(encoding='utf-8')[-2_000:]}")
