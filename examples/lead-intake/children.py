"""The programs of the demonstration as child processes: started, listened to, stopped."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LAST_LINES = 20
START_S = 30.0
STOP_S = 15.0
LINE_BYTES = 1_048_576


class ChildFailed(Exception):
    """A child did not start, or ended before it was told to; the text has its last lines."""


class Child:
    """One running child. `tell` is given each line that it prints, as it comes."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, tell: Callable[[str], None]
    ) -> None:
        self.name = name
        self._process = process
        self._tell = tell
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._waiting: list[tuple[re.Pattern[str], asyncio.Future[re.Match[str]]]] = []
        self.lines = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        tell: Callable[[str], None] = lambda line: None,
    ) -> Child:
        """Starts a program. It is in a process group of its own, so that Ctrl-C reaches the
        demonstration alone, which then stops its children in order.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            process_group=0,
            limit=LINE_BYTES,
        )
        return cls(name, process, tell)

    async def says(self, pattern: str) -> re.Match[str]:
        """Waits for a line that `pattern` is found in. To be asked before the child can have
        said it, that is without an `await` since its start. Raises `ChildFailed`.
        """
        future: asyncio.Future[re.Match[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((re.compile(pattern), future))
        either: set[asyncio.Future[Any]] = {future, self.lines}
        await asyncio.wait(either, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if self.lines.done():
            raise await self.failure()
        raise ChildFailed(f"{self.name} did not start within {START_S:g} s.\n{self.last_words()}")

    async def failure(self) -> ChildFailed:
        """What is to be said of a child that ended by itself."""
        code = await self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ChildFailed(f"{self.name} {how}.\n{self.last_words()}")

    def last_words(self) -> str:
        """The last lines that it printed, indented."""
        return "\n".join(f"    {line}" for line in self._last) or "    (it printed nothing)"

    async def stop(self) -> None:
        """Asks the child to end and waits for it; one that does not is killed."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self.lines

    async def _listen(self) -> None:
        assert self._process.stdout is not None, "it was started with a pipe"
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self._last.append(line)
            self._tell(line)
            for waiting in list(self._waiting):
                pattern, future = waiting
                found = pattern.search(line)
                if found and not future.done():
                    future.set_result(found)
                    self._waiting.remove(waiting)
