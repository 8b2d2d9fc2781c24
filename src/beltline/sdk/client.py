"""Clients that are kept over calls: the line to a broker or a mail server, opened once and shared.

A handler uses one for as long as a block lasts:

    async with context.client(BROKER) as broker:
        await broker.publish(...)

The hub opens it at the first call, keeps it for the next ones, and closes it when nobody has used
it for a while and at the end. `ClientFailed` is an answer and leaves the client as it is, as long
as its `is_open` says so; whatever else a block raises ends it, and the next call opens another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import msgspec

from beltline.sdk.connection import Connection
from beltline.sdk.outcome import Reject, Retry

T = TypeVar("T")


class ClientFailed(Exception):
    """The other side could not be reached, or did not do what was asked. The text tells why, and
    holds no secret.

    `permanent` holds where trying again cannot help; `after_s` is the wait in seconds that the
    other side asked for.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.after_s = after_s

    @property
    def outcome(self) -> Retry | Reject:
        """What a handler answers."""
        return Reject(str(self)) if self.permanent else Retry(str(self), self.after_s)


class Client(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """How a client of a connection is opened and closed.

    `name` tells it from other clients of the same connection. `open` raises `ClientFailed`, and
    bounds its own time: several calls may wait for it. `is_open` tells whether a kept one can be
    used still. A shared client serves any number of calls at a time; of the others each call has
    one to itself. One that nobody used for `idle_s` seconds is closed.
    """

    name: str
    open: Callable[[Connection], Awaitable[T]]
    close: Callable[[T], Awaitable[object]]
    is_open: Callable[[T], bool]
    is_shared: bool = True
    idle_s: float = 60.0


class Clients(Protocol):
    """The clients that are kept for the handlers of one event loop."""

    def use(self, client: Client[T], connection: Connection) -> AbstractAsyncContextManager[T]:
        """An open client until the block ends; see above for what the block raises."""
        ...
