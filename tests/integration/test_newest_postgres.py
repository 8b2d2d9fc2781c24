"""The newest PostgreSQL of the tests is newer than Debian's, and root can run it as another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.servers.newest_postgres import PACKAGE, newest_postgres, readable
from tests.servers.postgres import PostgresServer
from tests.servers.wanted import wanted

VERSION = "show server_version_num"


def test_it_is_newer_than_the_other_server(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with wanted(newest_postgres(tmp_path)) as server:
        assert int(server.ask(VERSION)) >= max(180_000, int(postgres_server.ask(VERSION)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_programs_that_root_alone_may_read_are_copied_for_all(tmp_path: Path) -> None:
    modes = {
        f"{PACKAGE}.libs/libpq.so": 0o600,
        f"{PACKAGE}/pginstall9/bin/initdb": 0o700,
        f"{PACKAGE}/pginstall9/include/c.h": 0o600,
        f"{PACKAGE}/pginstall9/share/postgres.bki": 0o600,
    }
    for name, mode in modes.items():
        (tmp_path / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (tmp_path / name).touch(mode)
    with readable(tmp_path / PACKAGE / "pginstall9") as programs:
        copy = programs.parents[1]
        found = {path: path.stat().st_mode & 0o777 for path in (copy, *copy.rglob("*"))}
        files = {
            str(path.relative_to(copy)): found.pop(path) for path in [*found] if path.is_file()
        }
    assert set(found.values()) == {0o755}  # the folders
    assert files == {
        f"{PACKAGE}.libs/libpq.so": 0o644,
        f"{PACKAGE}/pginstall9/bin/initdb": 0o755,
        f"{PACKAGE}/pginstall9/share/postgres.bki": 0o644,
    }
    assert not copy.exists()
