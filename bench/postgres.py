"""A PostgreSQL server of the bench's own, with default settings, for the peers that need one.

Debian's binaries are used, and installed when they are missing and this may be done. PostgreSQL
refuses to run as root, so then it runs as the user `postgres` of Debian's package.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.debian import install
from bench.ports import free_ports

START_S = 30


class NoPostgres(Exception):
    """The operator: there are no binaries, or the server did not start. The text says why."""


def binaries() -> Path:
    """The folder of `initdb` and `pg_ctl`. Raises `NoPostgres`."""
    for _ in range(2):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
        if found:
            return found[0].parent
        on_path = shutil.which("initdb")
        if on_path:
            return Path(on_path).resolve().parent
        # Not the whole package: that would start a server of its own.
        if not install("postgresql-15"):
            break
    raise NoPostgres("PostgreSQL is not installed (on Debian: apt-get install postgresql-15)")


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Runs a server with its data under `folder` until the block ends; gives the address of an
    empty database, as SQLAlchemy writes it. Raises `NoPostgres`.
    """
    programs = binaries()
    data = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
    user = None
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            raise NoPostgres("there is no user postgres to run the server as") from None
        user = account.pw_name
        os.chown(data, account.pw_uid, account.pw_gid)
        folder.chmod(0o755)

    def call(*command: str) -> None:
        done = subprocess.run(
            command, user=user, group=user, cwd=data, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoPostgres(f"{Path(command[0]).name} failed: {done.stderr or done.stdout}")

    (port,) = free_ports(1)
    cluster = str(data / "cluster")
    call(str(programs / "initdb"), "-D", cluster, "-U", "bench", "-A", "trust", "-E", "UTF8")
    control = str(programs / "pg_ctl")
    options = f"-p {port} -h 127.0.0.1 -k {data}"
    call(
        *(control, "-D", cluster, "-w", "-t", str(START_S)),
        *("-l", str(data / "log"), "-o", options, "start"),
    )
    try:
        call(
            *(str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port)),
            *("-U", "bench", "dbos"),
        )
        yield f"postgresql+psycopg://bench@127.0.0.1:{port}/dbos"
    finally:
        call(control, "-D", cluster, "-m", "immediate", "-w", "stop")
        shutil.rmtree(data, ignore_errors=True)
