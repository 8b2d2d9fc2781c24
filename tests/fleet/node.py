"""One node as a process, and what befalls it; whoever ends is started again, as a service manager
would do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 40.0
STOP_S = 20.0
AGAIN_S = 0.2  # as a service manager would wait


class FleetNode:
    """`beltline serve` on a shared home. `life` counts its processes, each with its own ledger."""

    def __init__(
        self,
        number: int,
        home: Path,
        store: str,
        *,
        host: str,
        port: int,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "beltline"),
    ) -> None:
        self.number = number
        self.address = f"http://{host}:{port}"
        self.life = 0
        self.away_s = 0.0  # before it is started again once it has ended
        self.ended_by_itself: list[str] = []
        self._home = home
        self._made_by = (number, home, store, host, port, prefix, environment)
        self._command = [
            *prefix,
            sys.executable,
            *program,
            *("serve", "--home", str(home), "--host", host, "--port", str(port)),
            *("--store", store),
        ]
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()
        self._ending = asyncio.Event()  # whoever ends is not started again
        self._was_told = False

    def succeeded_by(self, program: Sequence[str]) -> FleetNode:
        """A node in this one's place, run by another program."""
        number, home, store, host, port, prefix, environment = self._made_by
        return FleetNode(
            *(number, home, store),
            host=host,
            port=port,
            prefix=prefix,
            environment=environment,
            program=program,
        )

    @property
    def log(self) -> Path:
        """What it said in all its lives."""
        return self._home / f"node-{self.number}.log"

    def start(self) -> None:
        """Starts it, and again whenever it ends, until `end`."""
        self._keeper = asyncio.create_task(self._keep())

    async def listening(self) -> None:
        """Returns when it serves. Raises `TimeoutError`."""
        async with asyncio.timeout(START_S):
            await self._listens.wait()

    async def _keep(self) -> None:
        while not self._ending.is_set():
            self.life += 1
            ledger = self._home / f"ledger-{self.number}-{self.life}.txt"
            name = f"node {self.number} life {self.life}"
            process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env={
                    **os.environ,
                    "LEDGER": str(ledger),
                    "BELTLINE_NODES_NAME": name,
                    **self._environment,
                },
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            self._process = process
            self._was_told = False
            if self._ending.is_set():  # since this one began to be made
                self.leave()
            assert process.stderr is not None
            with self.log.open("ab") as log:
                async for line in process.stderr:
                    log.write(line)
                    log.flush()
                    if b"listens on" in line:
                        self._listens.set()
            code = await process.wait()
            self._listens.clear()
            # One that is told to leave while it still starts has not learned to do so cleanly.
            asked = (0, -signal.SIGTERM) if self._was_told else (-signal.SIGKILL,)
            if code not in asked:
                self.ended_by_itself.append(f"{name}: exit {code}")
                await asyncio.sleep(AGAIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.away_s):
                    await self._ending.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill(self) -> None:
        """Dies without a word."""
        self._was_told = False
        self._signal(signal.SIGKILL)

    def leave(self) -> None:
        """Stops cleanly."""
        self._was_told = True
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """Stands still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Goes on as if nothing had been."""
        self._signal(signal.SIGCONT)

    async def end(self) -> None:
        """Stops it for good."""
        self._ending.set()
        self.go_on()
        self.leave()
        if self._keeper is not None:
            try:
                async with asyncio.timeout(STOP_S):
                    await asyncio.shield(self._keeper)
            except TimeoutError:
                self.ended_by_itself.append(f"node {self.number} did not end in {STOP_S:.0f} s")
                self.kill()
                await self._keeper
