"""`beltline serve` that kills itself at a named point: run as a child process by the kill tests.

`CRASH=point:n` kills the process (SIGKILL, so nothing is flushed or closed) when the point is
passed for the n-th time. The points stand around everything that the guarantee is about: commit,
answer to the sender, call to a module, answer of the module. They are put around production code
from here, so that production code holds none.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from beltline.cli.main import main
from beltline.engine.committer import Committer
from beltline.engine.loader import Loader
from beltline.engine.node import Node
from beltline.engine.work import Work
from beltline.loop import AsyncioMailbox
from beltline.stores.sqlite.store import SqliteStore
from beltline.transports.event import EventTransport

Method = Callable[..., Any]


def kill_at(n: int) -> Callable[[], None]:
    """A point: to be called each time it is passed."""
    passed = itertools.count(1)

    def point() -> None:
        if next(passed) == n:
            os.kill(os.getpid(), signal.SIGKILL)

    return point


def before(method: Method, point: Callable[[], None]) -> Method:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        point()
        return method(*args, **kwargs)

    return wrapped


def after(method: Method, point: Callable[[], None]) -> Method:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        point()
        return result

    return wrapped


def before_async(method: Method, point: Callable[[], None]) -> Method:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        point()
        return await method(*args, **kwargs)

    return wrapped


def after_async(method: Method, point: Callable[[], None]) -> Method:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = await method(*args, **kwargs)
        point()
        return result

    return wrapped


def between_answers_and_calls(method: Method, point: Callable[[], None]) -> Method:
    """Senders have their answers, modules have no calls yet."""

    def wrapped(self: Committer, work: Work, answers: list[Any]) -> None:
        transport = self._transport
        self._transport = _Intercepted(transport, point)  # type: ignore[assignment]
        try:
            method(self, work, answers)
        finally:
            self._transport = transport

    return wrapped


class _Intercepted:
    def __init__(self, transport: Any, point: Callable[[], None]) -> None:
        self._transport = transport
        self._point = point

    def dispatch(self, calls: list[Any]) -> None:
        self._point()
        self._transport.dispatch(calls)


POINTS: dict[str, tuple[type, str, Callable[[Method, Callable[[], None]], Method]]] = {
    "before-commit": (SqliteStore, "commit", before_async),
    "after-commit-before-answers": (SqliteStore, "commit", after_async),
    "after-answers-before-calls": (Committer, "_act", between_answers_and_calls),
    "after-calls": (EventTransport, "dispatch", after),
    "before-handlers": (EventTransport, "begin", before),
    "after-handlers-before-posting": (EventTransport, "post", before),
    "after-posting": (EventTransport, "post", after),
    "after-claim": (SqliteStore, "claim", after_async),
    "after-joining": (Node, "join", after_async),
    "before-loading": (Loader, "_hand_to_belt", before_async),
    "after-mailbox": (AsyncioMailbox, "take", after_async),
}


def arm(order: str) -> None:
    """Puts the point of `CRASH` into place."""
    name, _, n = order.partition(":")
    owner, method, around = POINTS[name]
    setattr(owner, method, around(getattr(owner, method), kill_at(int(n))))


if __name__ == "__main__":
    if os.environ.get("CRASH"):
        arm(os.environ["CRASH"])
    sys.argv[0] = "beltline"
    main()
