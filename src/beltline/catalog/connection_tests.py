"""Tests of connections: which kind has one, and what came of it.

A kind is loaded when one of it is tested, since its library is an extra.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import msgspec

from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http, HttpFailed

GROUP = "beltline.connections"
TEST_S = 25.0


class NoTest(Exception):
    """The operator: connections of this kind cannot be tested here. The text says why."""


class Examination(msgspec.Struct, frozen=True):
    """What came of a test: `found` is what is there, or what has to be changed."""

    ok: bool
    found: str


async def check_connection(
    connection: Connection,
    http: Http,
    points: Iterable[EntryPoint] | None = None,
    timeout_s: float = TEST_S,
) -> Examination:
    """Tests a connection. Raises `NoTest`."""
    kind = _kind(connection.kind, points)
    try:
        async with asyncio.timeout(timeout_s):
            return Examination(True, await kind.check(connection, http))
    except TimeoutError:
        return Examination(False, f"no answer within {timeout_s:g} s")
    except (ClientFailed, HttpFailed) as failed:
        return Examination(False, str(failed))
    except Exception as error:  # noqa: BLE001 - a library of the other side may raise anything
        return Examination(False, f"{type(error).__name__}: {error}")


def _kind(name: str, points: Iterable[EntryPoint] | None) -> ConnectionKind:
    known = {one.name: one for one in (entry_points(group=GROUP) if points is None else points)}
    if name not in known:
        raise NoTest(
            f"connections of the kind {name!r} have no test; those of {', '.join(sorted(known))} do"
        )
    try:
        kind = known[name].load()
    except ImportError as missing:
        raise NoTest(f"the test of the kind {name!r} needs a library: {missing}") from missing
    if not isinstance(kind, ConnectionKind):
        raise NoTest(f"the entry point {known[name].value} is no ConnectionKind")
    return kind
