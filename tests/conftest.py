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


# Files that take minutes: they begin first, so that no worker is left alone with one in the end.
LONG = (
    "test_planted_bugs.py",
    "test_store_differential.py",
    "test_simulation.py",
    "test_rounds.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, in this order; all others as they were found."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))
