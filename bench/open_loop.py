"""Requests at a fixed rate, whatever becomes of their answers: an open loop.

A sender that waits for an answer before it sends the next request slows down with who it measures,
and leaves out the very requests that would have waited ("coordinated omission"). Here request n is
due at the begin + n / rate, and that was settled before the first was sent. It goes over a free
connection; where none is free it waits for one, and the wait is its own: a latency counts from the
moment when the request was due until its answer is complete.

What this program itself is late by is in the latencies, too, and told apart (`behind_ms`), since it
shares the machine with who it measures.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit

TICK_S = 0.001  # between two looks at what is due: as fine as timers of the event loop are
PATIENCE_S = 30  # after the last was due: who has no answer then has none
END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"


class Asked:
    """The request that a connection waits an answer for: its number, and when it was due."""

    __slots__ = ("due_at", "number")

    def __init__(self, number: int, due_at: float) -> None:
        self.number = number
        self.due_at = due_at


Told = Callable[[Asked, int, bytes, float], None]  # request, status, body, latency in ms


class Connection(asyncio.Protocol):
    """One kept connection, with at most one request at a time."""

    def __init__(self, free: Callable[[Connection], None], told: Told) -> None:
        self._free = free
        self._told = told
        self._asked: Asked | None = None
        self._head = self._got = b""
        self._transport: asyncio.Transport | None = None
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._free(self)

    def send(self, asked: Asked, request: bytes) -> None:
        """Sends a request; the connection is free again when its answer has come."""
        assert self._transport is not None
        self._asked = asked
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got = self._got + data if self._got else data
        head, end, body = self._got.partition(END_OF_HEAD)
        if not end or len(body) < length_in(head) or self._asked is None:
            return
        asked, self._asked, self._got = self._asked, None, b""
        self._told(asked, int(head[9:12]), body, (time.perf_counter() - asked.due_at) * 1e3)
        if not self.is_closed:
            self._free(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_closed = True
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self._told(asked, 0, b"", (time.perf_counter() - asked.due_at) * 1e3)

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()


def length_in(head: bytes) -> int:
    """What an answer's Content-Length says; every answer of the hub has one, or no body."""
    lower = head.lower()
    at = lower.find(LENGTH)
    if at < 0:
        return 0
    return int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0])


class OpenLoop:
    """Sends what `requests` gives to the host of `url`, `rate` a second over so many connections.
    Each answer is handed to `told`, with status 0 where the connection broke or none came.
    """

    def __init__(
        self, url: str, requests: Iterator[bytes], rate: float, connections: int, told: Told
    ) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        self._requests = requests
        self._rate = rate
        self._connections = connections
        self._tell = told
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[Asked, bytes]] = deque()
        self._open = 0
        self.behind_ms = array("d")  # of each request: how late this program turned to it
        self.waited_most = 0  # requests that waited for a connection at one time

    async def run(self, seconds: float) -> float:
        """Sends for so long, and waits for the answers; gives the seconds from the first to the
        last that was due.
        """
        loop = asyncio.get_running_loop()
        made = [
            (
                await loop.create_connection(
                    lambda: Connection(self._freed, self._told), *self._address
                )
            )[1]
            for _ in range(self._connections)
        ]
        wanted, number = round(seconds * self._rate), 0
        began = time.perf_counter() + TICK_S
        while number < wanted:
            now = time.perf_counter()
            due = min(wanted, int((now - began) * self._rate) + 1) if now >= began else 0
            while number < due:
                asked = Asked(number, began + number / self._rate)
                self.behind_ms.append((time.perf_counter() - asked.due_at) * 1e3)
                self._send(asked, next(self._requests))
                number += 1
            self.waited_most = max(self.waited_most, len(self._waiting))
            await asyncio.sleep(TICK_S)
        until = time.perf_counter() + PATIENCE_S
        while self._open and time.perf_counter() < until:  # noqa: ASYNC110 - its clock ticks
            await asyncio.sleep(TICK_S)
        for connection in made:
            connection.close()
        await asyncio.sleep(TICK_S)  # who has no answer is told so
        return wanted / self._rate

    def _send(self, asked: Asked, request: bytes) -> None:
        self._open += 1
        self._waiting.append((asked, request))
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._free:
            connection = self._free.popleft()
            if not connection.is_closed:
                connection.send(*self._waiting.popleft())

    def _freed(self, connection: Connection) -> None:
        self._free.append(connection)
        self._send_waiting()

    def _told(self, asked: Asked, status: int, body: bytes, latency_ms: float) -> None:
        self._open -= 1
        self._tell(asked, status, body, latency_ms)
