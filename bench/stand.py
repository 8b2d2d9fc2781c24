"""Where the benchmark works: a folder on the disk, homes in it, and fresh processes to measure.

Each measurement runs in a process of its own, so that none inherits another's memory or caches.
Such a process (`bench/measured/*.py`) prints one JSON object as its last line.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHILD_S = 300  # no measurement takes so long; one that does is stuck
SECRET = "the secret that the senders of the benchmark sign with"  # noqa: S105 - made up
KEY = "a" * 43  # of the hub's own encryption: nothing is encrypted here
READY = "ready"  # what a process says that waits to be let go with others


class Failed(Exception):
    """A measured process failed; the text is what it said."""


@dataclass(frozen=True)
class Served:
    """A hub that serves: its address, its process id, and how long it took to be ready."""

    address: str
    pid: int
    ready_s: float

    def memory_mib(self, which: str = "VmHWM") -> float:
        """The process's memory in MiB: at its highest (`VmHWM`), or now (`VmRSS`)."""
        return memory_mib(self.pid, which)

    def cpu_s(self) -> float:
        """Seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int | str, which: str = "VmHWM") -> float:
    """The memory of a process in MiB. `VmHWM` begins anew with each program that is started,
    unlike `ru_maxrss`, which a child takes over from whoever started it.
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1_024
    return 0.0


class Stand:
    """The folder of one run of the benchmark, and the ways to start things in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw: list[dict[str, Any]] = []

    def home(self, name: str) -> Path:
        """A fresh home: a copy of bench/home with no data."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(ROOT / "bench" / "home", path, ignore=shutil.ignore_patterns("data"))
        (path / "data").mkdir(mode=0o700)
        return path

    def drop(self, home: Path) -> None:
        """Removes a home: some are gigabytes."""
        shutil.rmtree(home, ignore_errors=True)

    def measure(
        self,
        module: str,
        *arguments: object,
        python: Path | None = None,
        timeout_s: float = CHILD_S,
    ) -> dict[str, Any]:
        """Runs `python -m module` and gives the object that it printed. Raises `Failed`."""
        command = [str(python or sys.executable), "-m", module, *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{module} did not end within {timeout_s:g} s") from None
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            told = (done.stderr or done.stdout).strip()[-2_000:]
            raise Failed(f"{module} ended with {done.returncode}: {told}")
        found: dict[str, Any] = json.loads(lines[-1])
        self.raw.append({"module": module, "arguments": [str(a) for a in arguments], **found})
        return found

    def measure_together(
        self,
        module: str,
        calls: Sequence[Sequence[object]],
        begin: Callable[[], None],
        timeout_s: float = CHILD_S,
    ) -> list[dict[str, Any]]:
        """Runs `python -m module --together` once for each of `calls`, at the same time. When all
        have got ready, `begin` is called, and then they are let go: what starting them takes is
        in no figure. Gives what each printed. Raises `Failed`.
        """
        with ExitStack() as opened:
            started = [
                opened.enter_context(self._waiting(module, [*map(str, call), "--together"]))
                for call in calls
            ]
            for process in started:
                assert process.stdout is not None
                said = process.stdout.readline()
                if said.strip() != READY:
                    raise Failed(f"{module} did not get ready: {said}{self._errors(process.pid)}")
            begin()
            for process in started:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            found = []
            for process, call in zip(started, calls, strict=True):
                try:
                    said, _ = process.communicate(timeout=timeout_s)
                except subprocess.TimeoutExpired:
                    raise Failed(f"{module} did not end within {timeout_s:g} s") from None
                if process.returncode:
                    told = self._errors(process.pid)
                    raise Failed(f"{module} ended with {process.returncode}: {told}")
                found.append(json.loads(said.strip().splitlines()[-1]))
                arguments = [str(argument) for argument in call]
                self.raw.append({"module": module, "arguments": arguments, **found[-1]})
        return found

    @contextmanager
    def _waiting(self, module: str, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
        """A measured process that waits on its input; killed if it still runs at the end."""
        with (self.folder / "waiting.log").open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            log = self.folder / f"waiting-{process.pid}.log"
            Path(errors.name).rename(log)
            try:
                with process:
                    try:
                        yield process
                    finally:
                        if process.poll() is None:
                            process.kill()
            finally:
                log.unlink(missing_ok=True)

    def _errors(self, pid: int) -> str:
        """What a waiting process said about what went wrong."""
        log = self.folder / f"waiting-{pid}.log"
        return log.read_text(encoding="utf-8")[-2_000:]

    def beltline(self, home: Path, *arguments: str, store: str | None = None) -> str:
        """Runs a command of `beltline` on a home; gives what it printed. Raises `Failed`."""
        command = [sys.executable, "-m", "beltline", *arguments, "--home", str(home)]
        if store is not None:
            command += ["--store", store]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failed(f"beltline {arguments[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def serving(
        self, home: Path, *, store: str | None = None, ready_within_s: float = 60
    ) -> Iterator[Served]:
        """Runs `beltline serve` on a home until the block ends, then stops it cleanly. `store` is a
        URL; without it the home's own.

        Raises `Failed` where it does not get ready, or does not end well.
        """
        log = (self.folder / f"{home.name}.log").open("wb")
        command = [sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"]
        if store is not None:
            command += ["--store", store]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = self._address(process, Path(log.name), began + ready_within_s)
            ready_s = _ready_after(address, began, ready_within_s)
            yield Served(address, process.pid, ready_s)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()
        if process.returncode not in (0, -signal.SIGTERM):
            said = Path(log.name).read_text(encoding="utf-8")[-2_000:]
            raise Failed(f"beltline serve ended with {process.returncode}: {said}")

    def _address(self, process: subprocess.Popen[bytes], log: Path, until: float) -> str:
        """The address that the server says it listens on."""
        while time.perf_counter() < until and process.poll() is None:
            for word in log.read_text(encoding="utf-8").split():
                if word.startswith("http://"):
                    return word
            time.sleep(0.01)
        raise Failed(f"beltline serve did not start: {log.read_text(encoding='utf-8')[-2_000:]}")


def environment() -> dict[str, str]:
    """The environment of a measured process: the sources and this package can be imported, and the
    secrets of the bench's home are set.
    """
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "BENCH_SECRET": SECRET,
        "BELTLINE_KEY": KEY,
    }


def _ready_after(address: str, began: float, within_s: float) -> float:
    """Seconds from the start of the process until /readyz answered 200."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=5)
    try:
        while (passed := time.perf_counter() - began) < within_s:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return time.perf_counter() - began
            time.sleep(0.01)
    finally:
        connection.close()
    raise Failed(f"/readyz gave no 200 within {passed:.0f} s")
