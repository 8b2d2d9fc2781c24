"""A connection as handlers are given it."""

from __future__ import annotations

from pathlib import Path

import pytest

from beltline.sdk import Connection


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("sqlite:///db/shop.db", "sqlite:////srv/hub/db/shop.db"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("postgresql://db.example/sqlite:///x", "postgresql://db.example/sqlite:///x"),
        ("https://site.example/", "https://site.example/"),
        ("", ""),
    ],
)
def test_a_relative_file_of_a_database_begins_at_the_home(address: str, found: str) -> None:
    assert Connection("shop", "sql", address).below(Path("/srv/hub")).address == found
