"""A link to a server that tests can cut: a TCP proxy in a thread with an event loop of its own.

What is cut is held back, not lost: on a real network TCP sends it again until the link is whole, so
that a stream is late or ends, but never has a hole. A cut direction also holds back its side's
closing, as a packet that does not arrive; a cut of either direction keeps new connections from
getting through.

Every method may be called from any thread, and has happened when it returns.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TypeVar

import msgspec

Way = Literal["to_server", "to_client"]
Cut = Literal["both", "to_server", "to_client"]
WAYS: tuple[Way, Way] = ("to_server", "to_client")

CHUNK_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time, so that closing resets

T = TypeVar("T")


class Trap(msgspec.Struct):
    """Breaks connections whose client sends `pattern`: `left` of them, after `skip` others.

    `then` tells when: at once without passing the message on, when the server's answer is there
    but has not been passed on, or after its first bytes have been.
    """

    pattern: bytes
    left: int
    skip: int
    then: Literal["unsent", "unanswered", "answered"]

    def takes(self, before: bytes, sent: bytes) -> bool:
        """Whether these bytes of a client, with those before them, spring the trap, which counts
        them.
        """
        begun = before[max(0, len(before) - len(self.pattern) + 1) :]
        if self.left == 0 or self.pattern not in begun + sent:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        return True


class Proxy:
    """Listens on a free port of loopback and forwards to `target`; made by `proxy`.

    With `delay_s` each piece of a stream is held for up to that long, and is cut into smaller ones,
    at random by `seed`.
    """

    def __init__(self, target: tuple[str, int], *, seed: int = 0, delay_s: float = 0.0) -> None:
        self.target = target
        self.broken = 0  # connections that traps have broken
        self._random = random.Random(seed)
        self._delay_s = delay_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._whole = {way: asyncio.Event() for way in WAYS}
        self._links: set[_Link] = set()
        self._traps: list[Trap] = []
        self._sprung = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        for gate in self._whole.values():
            gate.set()
        self._thread.start()
        self.allow()

    # What tests tell it

    def cut(self, way: Cut = "both") -> None:
        """Holds back all bytes that go this way; connections stay open."""

        def change() -> None:
            for one in WAYS:
                if way in (one, "both"):
                    self._whole[one].clear()

        self._do(change)

    def heal(self) -> None:
        """Makes the link whole: what was held back arrives."""

        def change() -> None:
            for gate in self._whole.values():
                gate.set()

        self._do(change)

    def refuse(self) -> None:
        """Refuses new connections, as a port that nobody listens on; open ones stay."""
        self._do(self._refuse)

    def allow(self) -> None:
        """Takes new connections again."""
        self._await(self._allow)

    def break_all(self) -> None:
        """Resets all connections, on both sides."""
        self._do(self._break)

    def break_after(
        self, pattern: bytes, count: int = 1, *, skip: int = 0, before_answer: bool = True
    ) -> None:
        """Breaks the next `count` connections whose client sends `pattern` (after `skip` that may
        pass): the message arrives, and the connection is reset once the server's first answer
        bytes are there. They are not passed on, unless `before_answer` is False.
        """
        then: Literal["unanswered", "answered"] = "unanswered" if before_answer else "answered"
        self._do(lambda: self._traps.append(Trap(pattern, count, skip, then)))

    def break_before(self, pattern: bytes, count: int = 1, *, skip: int = 0) -> None:
        """The same, but the message does not arrive."""
        self._do(lambda: self._traps.append(Trap(pattern, count, skip, "unsent")))

    def wait_for_break(self, count: int, timeout_s: float = 10.0) -> None:
        """Returns when traps have broken this many connections in all. Raises `TimeoutError`."""

        async def wait() -> None:
            async with asyncio.timeout(timeout_s):
                while self.broken < count:
                    self._sprung.clear()
                    await self._sprung.wait()

        self._await(wait)

    def open_links(self) -> int:
        """How many connections are open."""
        return self._do(lambda: len(self._links))

    def close(self) -> None:
        """Ends the proxy and all its connections."""

        async def end() -> None:
            self._refuse()
            self._break()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # in which the connections are closed

        self._await(end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._place.close()
        self._loop.close()

    # Inside its own loop

    def _do(self, change: Callable[[], T]) -> T:
        async def inside() -> T:
            return change()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result()

    def _await(self, change: Callable[[], object]) -> None:
        async def inside() -> None:
            await change()  # type: ignore[misc]

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result()

    def _break(self) -> None:
        for link in list(self._links):
            link.reset()

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._place = _bound(self.port)  # so that nobody else gets the port

    async def _allow(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, sock=self._place)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        self._links.add(link)
        try:
            for gate in self._whole.values():
                await gate.wait()
            await link.carry(reader)
        finally:
            link.reset()
            self._links.discard(link)

    def sprung(self, before: bytes, sent: bytes) -> Trap | None:
        """The trap that these bytes of a client spring, if there is one."""
        return next((trap for trap in self._traps if trap.takes(before, sent)), None)

    def longest_pattern(self) -> int:
        """The bytes of the longest pattern that is waited for."""
        return max((len(trap.pattern) for trap in self._traps), default=0)

    def count_break(self) -> None:
        """A trap has broken a connection."""
        self.broken += 1
        self._sprung.set()

    async def pass_on(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Writes bytes when the link is whole, whatever happens to the pieces on their way."""
        while data:
            size = len(data)
            if self._delay_s:
                await asyncio.sleep(self._random.uniform(0, self._delay_s))
                size = self._random.randint(1, size)
            await self._whole[way].wait()
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]

    async def gate(self, way: Way) -> None:
        """Returns when this way is whole."""
        await self._whole[way].wait()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = [client]
        self._trap: Trap | None = None
        self._seen = b""  # the client's last bytes, where a pattern may have begun

    async def carry(self, reader: asyncio.StreamReader) -> None:
        """Forwards both ways until either side has ended the connection."""
        (client,) = self._writers
        try:
            upstream, server = await asyncio.open_connection(*self._proxy.target)
        except OSError:
            return
        self._writers.append(server)
        ways = (
            asyncio.create_task(self._forward("to_server", reader, server)),
            asyncio.create_task(self._forward("to_client", upstream, client)),
        )
        try:
            for ended in asyncio.as_completed(ways):
                if not await ended:
                    return
            for writer in self._writers:
                writer.close()  # what was written still arrives
            self._writers.clear()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def reset(self) -> None:
        """Ends both sides at once, without a word."""
        for writer in self._writers:
            with suppress(OSError):
                taken = writer.get_extra_info("socket")
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _forward(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Carries one way to its end; False when that breaks the connection. An end is a packet
        too: it waits until its way is whole.
        """
        try:
            while data := await reader.read(CHUNK_BYTES):
                if way == "to_server" and self._springs(data):
                    return False
                if way == "to_client" and await self._answered(data, writer):
                    return False
                try:
                    await self._proxy.pass_on(way, data, writer)
                except OSError:  # the receiving side is gone, which it tells by the other way
                    await self._proxy.gate("to_client" if way == "to_server" else "to_server")
                    return False
            await self._proxy.gate(way)
            writer.write_eof()
        except OSError:
            await self._proxy.gate(way)
            return False
        return True

    def _springs(self, data: bytes) -> bool:
        """Whether the client's bytes break the connection now."""
        trap = self._proxy.sprung(self._seen, data)
        keep = self._proxy.longest_pattern()
        # A pattern that was found is not found again with what comes after it.
        self._seen = b"" if trap is not None or keep == 0 else (self._seen + data)[-keep:]
        if trap is None:
            return False
        if trap.then == "unsent":
            self._proxy.count_break()
            return True
        self._trap = trap
        return False

    async def _answered(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the server's bytes break the connection now."""
        if self._trap is None:
            return False
        if self._trap.then == "answered":
            await self._proxy.pass_on("to_client", data, writer)
        self._proxy.count_break()
        return True


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place


@contextmanager
def proxy(target: tuple[str, int], *, seed: int = 0, delay_s: float = 0.0) -> Iterator[Proxy]:
    """Runs a proxy to `target` until the block ends."""
    running = Proxy(target, seed=seed, delay_s=delay_s)
    try:
        yield running
    finally:
        running.close()
