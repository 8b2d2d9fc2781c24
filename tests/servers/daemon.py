"""A server of a test that runs in the foreground: started, ended and started again at one port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.debian import install
from tests.servers.ports import free_ports
from tests.servers.processes import NoServer, Place

LOOPBACK = "127.0.0.1"
END_S = 20.0


def program(name: str, package: str) -> str:
    """The path of a program, whose Debian package is installed when it is missing. Raises
    `NoServer`.
    """
    for _ in range(2):
        # Debian keeps servers in /usr/sbin, which is not on everybody's path.
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/lib/rabbitmq/bin")
        if found:
            return found
        if not install(package):
            break
    raise NoServer(f"{name} is not installed (on Debian: apt-get install {package})")


class Daemon:
    """A server that listens on `port` of loopback while it runs."""

    def __init__(
        self,
        command: Sequence[str],
        place: Place,
        port: int,
        *,
        start_s: float = 20.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self.place = place
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.place.folder / "log"

    def start(self) -> None:
        """Starts it and returns when it takes connections. Raises `NoServer`."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                user=self.place.user,
                group=self.place.group,
                extra_groups=None if self.place.user is None else [],
                cwd=self.place.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + self._start_s
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        said = self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise NoServer(f"{self._command[0]} did not start: {said}")

    def stop(self) -> None:
        """Ends it, with all that it started. One that does not run stays so."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError):  # it left nothing behind
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def restart(self) -> None:
        """Ends it and starts it again, at the same port."""
        self.stop()
        self.start()


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Runs it until the block ends. Raises `NoServer`."""
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


def own_place(folder: Path) -> Place:
    """A folder for a server that may run as whoever we are."""
    folder.mkdir(parents=True, exist_ok=True)
    return Place(folder, None, None)


__all__ = ["LOOPBACK", "Daemon", "NoServer", "free_ports", "own_place", "program", "running"]
