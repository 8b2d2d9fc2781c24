"""The server behind the commands that serve: it tells where it listens, and ends by a signal
without dying of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn


class ListeningServer(uvicorn.Server):
    """Whoever inherits it says what a signal does (`handle_exit`), and where it listens."""

    def listens(self, host: str, port: int) -> None:
        """It listens there now."""
        raise NotImplementedError

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the serving, and what comes after it (answers that are under
        way, handing runs over) still happens. uvicorn's own way raises the signal again at the
        end, which would kill the process before that.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                self.listens(*listening.getsockname()[:2])
