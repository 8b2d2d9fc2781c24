"""Servers that several kinds of tests share, started at the first test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.postgres import PostgresServer, postgres
from tests.servers.wanted import wanted


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server that is quick and does not survive a loss of power. Each test makes a
    database of its own in it. Where there is none, the test is skipped with the reason.
    """
    with wanted(postgres(tmp_path_factory.mktemp("postgres"), durable=False)) as opened:
        yield opened
