"""A PostgreSQL server of the tests' own: on loopback, at a free port, in a folder of its own.

Debian's binaries are used, and installed when they are missing and this may be done; those of
another folder when BELTLINE_POSTGRES_BIN names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Literal

from tests.servers.debian import install
from tests.servers.ports import free_ports
from tests.servers.processes import NoServer, Place, place_for, with_children

START_S = 60
USER = "beltline"
LOOPBACK = "127.0.0.1"
# A crash of the machine would lose data: quick, for tests that are about something else. Commits
# are still written before they are told, so that a crash of the server alone loses none.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}

Mode = Literal["smart", "fast", "immediate"]


class NoPostgres(NoServer):
    """The operator: there are no binaries, or the server did not start. The text says why."""


def binaries() -> Path:
    """The folder of `initdb` and `pg_ctl`. Raises `NoPostgres`."""
    named = os.environ.get("BELTLINE_POSTGRES_BIN")
    if named:
        if (Path(named) / "initdb").is_file():
            return Path(named)
        raise NoPostgres(f"BELTLINE_POSTGRES_BIN names {named}, where there is no initdb")
    for _ in range(2):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_major, reverse=True)
        if found:
            return found[0].parent
        on_path = shutil.which("initdb")
        if on_path:
            return Path(on_path).resolve().parent
        if not install("postgresql-15"):
            break
    raise NoPostgres("PostgreSQL is not installed (on Debian: apt-get install postgresql-15)")


def _major(initdb: Path) -> int:
    name = initdb.parents[1].name
    return int(name) if name.isdecimal() else 0


class PostgresServer:
    """A server with its data in `place`; made by `postgres`, which also starts and ends it."""

    def __init__(self, programs: Path, place: Place, addresses: Sequence[IPv4Interface]) -> None:
        (self.port,) = free_ports(1)
        self._programs = programs
        self._place = place
        self._addresses = addresses
        self._cluster = place.folder / "cluster"
        self._used_s = 0.0  # by postmasters before this one
        self._pid: int | None = None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._place.folder / "log"

    def create(self, settings: Mapping[str, str], *, durable: bool) -> None:
        """Makes the cluster, once. Raises `NoPostgres`."""
        # The C locale sorts the same everywhere.
        options = ["-A", "trust", "-E", "UTF8", "--locale=C", *([] if durable else ["--no-sync"])]
        self._call("initdb", "-D", str(self._cluster), "-U", USER, *options)
        lines = {
            "listen_addresses": ",".join((LOOPBACK, *(str(one.ip) for one in self._addresses))),
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **({} if durable else NOT_DURABLE),
            **settings,
        }
        with (self._cluster / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        with (self._cluster / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"host all all {one.network} trust\n" for one in self._addresses)

    def start(self) -> None:
        """Starts it and returns when it takes connections. Raises `NoPostgres`."""
        self._control("-w", "-t", str(START_S), "-l", str(self.log), "start")
        text = (self._cluster / "postmaster.pid").read_text(encoding="utf-8")
        self._pid = int(text.split(maxsplit=1)[0])

    def stop(self, mode: Mode = "immediate") -> None:
        """Ends it: `immediate` as a crash, `fast` cutting off its clients, `smart` when they have
        left. One that does not run stays so.
        """
        if self._pid is None:
            return
        self._used_s = self.cpu_s()
        self._pid = None
        self._control("-w", "-t", str(START_S), "-m", mode, "stop")

    def restart(self, mode: Mode = "immediate") -> None:
        """Ends it and starts it again, at the same port."""
        self.stop(mode)
        self.start()

    def pids(self) -> list[int]:
        """The postmaster and its children; empty while it does not run."""
        return [] if self._pid is None else list(with_children(self._pid))

    def cpu_s(self) -> float:
        """CPU seconds of all its processes, those that ended included."""
        if self._pid is None:
            return self._used_s
        found = with_children(self._pid)
        ended_s = found[self._pid].ended_s if self._pid in found else 0.0
        return self._used_s + ended_s + sum(one.own_s for one in found.values())

    def database(self, name: str) -> str:
        """Makes an empty database and gives its URL."""
        self.ask(f'create database "{name}" template template0')
        return self.url(name)

    def url(self, name: str, host: str = LOOPBACK) -> str:
        """The URL of a database."""
        return f"postgresql://{USER}@{host}:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected to it."""
        self.ask(f'drop database if exists "{name}" with (force)')

    def ask(self, sql: str, database: str = "postgres", *, url: str = "") -> str:
        """What `psql` prints for a statement, without alignment. `url` goes another way to it.
        Raises `NoPostgres`.
        """
        return self._call("psql", "-X", "-A", "-t", "-q", "-c", sql, url or self.url(database))

    def _control(self, *arguments: str) -> None:
        self._call("pg_ctl", "-D", str(self._cluster), *arguments)

    def _call(self, program: str, *arguments: str) -> str:
        path = self._programs / program
        command = [str(path if path.exists() else program), *arguments]
        place = self._place
        # A file, not a pipe: the server that pg_ctl starts would keep the pipe open.
        with (place.folder / f"{program}.out").open("w+", encoding="utf-8") as output:
            done = subprocess.run(
                command,
                user=place.user,
                group=place.group,
                extra_groups=None if place.user is None else [],
                cwd=place.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            output.seek(0)
            said = output.read()
        if done.returncode:
            raise NoPostgres(f"{program} failed: {said.strip()}{self._last_of_log()}")
        return said.strip()

    def _last_of_log(self) -> str:
        if not self.log.exists():
            return ""
        return "\n" + self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]


@contextmanager
def postgres(
    folder: Path,
    *,
    durable: bool = True,
    settings: Mapping[str, str] | None = None,
    listen: Sequence[IPv4Interface] = (),
    programs: Path | None = None,
) -> Iterator[PostgresServer]:
    """Runs a server until the block ends, with its data under `folder` (or among the system's
    temporary files, see `place_for`). It listens on loopback, and on the addresses of `listen` for
    those in their networks. Raises `NoServer`.

    `durable=False` is quick and loses data with the machine, though not with its own process.
    `settings` are laid over those of postgresql.conf. `programs` is the folder of its programs, if
    not the one of `binaries`.
    """
    programs = programs or binaries()
    with place_for("postgres", folder) as place:
        server = PostgresServer(programs, place, listen)
        server.create(settings or {}, durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
