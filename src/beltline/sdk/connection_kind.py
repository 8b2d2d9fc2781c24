"""A kind of connection, and how one of it is tested: asked of a person before a run depends on it.

A test changes nothing on the other side: it connects, proves who it is, and tells what it found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from beltline.sdk.connection import Connection
from beltline.sdk.context import Http


class ConnectionKind(msgspec.Struct, frozen=True, kw_only=True):
    """What connections name as their `kind`. `check` tells in a sentence what it found, and raises
    `ClientFailed` or `HttpFailed` where the connection cannot be used. It is found by the entry
    points of the group `beltline.connections`.
    """

    name: str
    check: Callable[[Connection, Http], Awaitable[str]]
