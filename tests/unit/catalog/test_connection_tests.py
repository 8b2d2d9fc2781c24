"""Tests of connections: which kinds have one, and what is told of how it went."""

from __future__ import annotations

import asyncio
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import beltline
from beltline.catalog.connection_tests import GROUP, Examination, NoTest, check_connection
from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http, HttpFailed

HTTP: Any = None


class Point:
    """An entry point that gives this."""

    name = "kind"
    value = "a.b:kind"

    def __init__(self, given: Any) -> None:
        self._given = given

    def load(self) -> Any:
        if isinstance(self._given, Exception):
            raise self._given
        return self._given


async def checked(check: Any, kind: str = "kind") -> Examination:
    given = check if not callable(check) else ConnectionKind(name="kind", check=check)
    points: Any = [Point(given)]
    connection = Connection(name="c", kind=kind)
    return await check_connection(connection, HTTP, points, timeout_s=0.05)


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        (ClientFailed("the password is wrong"), "the password is wrong"),
        (HttpFailed("no connection"), "no connection"),
        (RuntimeError("odd"), "RuntimeError: odd"),
    ],
)
async def test_what_a_check_raises_is_what_was_found(raised: Exception, found: str) -> None:
    async def check(connection: Connection, http: Http) -> str:
        raise raised

    assert await checked(check) == Examination(False, found)


async def test_a_check_that_ends_is_good_and_one_that_does_not_is_given_up() -> None:
    async def good(connection: Connection, http: Http) -> str:
        return f"{connection.name} is there"

    async def endless(connection: Connection, http: Http) -> str:
        await asyncio.Event().wait()
        return ""

    assert await checked(good) == Examination(True, "c is there")
    assert await checked(endless) == Examination(False, "no answer within 0.05 s")


async def test_a_kind_without_a_test_is_told() -> None:
    with pytest.raises(NoTest, match="'other' have no test; those of kind do"):
        await checked(None, "other")
    with pytest.raises(NoTest, match="needs a library: No module named 'nats'"):
        await checked(ImportError("No module named 'nats'"))
    with pytest.raises(NoTest, match="is no ConnectionKind"):
        await checked("nothing")


def test_the_entry_points_are_kinds_of_their_names() -> None:
    project = Path(beltline.__file__).parents[2] / "pyproject.toml"
    points = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]
    for name, value in points.items():
        kind = EntryPoint(name, value, GROUP).load()
        assert isinstance(kind, ConnectionKind)
        assert kind.name == name
