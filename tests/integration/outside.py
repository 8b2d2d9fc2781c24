"""An outside system for tests of limits and outages: it notes every request, and can be away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from aiohttp import web

HOME = {
    "processes/ask.yaml": (
        "process: ask\nsteps:\n"
        "  - id: ask\n    module: http-request\n    connection: shop\n"
        '    with: {{url: "{address}/ask", method: POST, json: {{n: "{{{{ request.n }}}}"}}}}\n'
        "{policy}"
    ),
    "sources/asks.yaml": "source: asks\nkind: webhook\nprocess: ask\nverify: none\n",
}


class Outside:
    """A server on loopback. `seen` holds the moments of its requests, by the loop's clock."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.numbers: list[int] = []
        self.more = asyncio.Condition()
        self.address = ""
        self._runner: web.AppRunner | None = None

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen.append(asyncio.get_running_loop().time())
        self.numbers.append((await request.json())["n"])
        async with self.more:
            self.more.notify_all()
        return web.json_response({"ok": True})

    async def up(self) -> None:
        """It listens, at the same address as before."""
        app = web.Application()
        app.router.add_post("/ask", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        port = int(self.address.rpartition(":")[2]) if self.address else 0
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        if not port:
            self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def down(self) -> None:
        """Nobody listens any more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def saw(self, number: int) -> None:
        """Waits until so many different requests have come."""
        async with self.more:
            await self.more.wait_for(lambda: len(set(self.numbers)) >= number)

    def most_over(self, rate_per_s: float) -> float:
        """By how much more than the rate alone allows the requests came in any window: at most the
        burst, where the limit is kept.
        """
        highest = lowest = 0.0
        for n, at in enumerate(self.seen):
            lowest = min(lowest, n - rate_per_s * (at - self.seen[0]))
            highest = max(highest, n + 1 - rate_per_s * (at - self.seen[0]) - lowest)
        return highest

    def longest_silence_s(self) -> float:
        """The longest time between two requests."""
        return max(later - earlier for earlier, later in pairwise(self.seen))


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    """An outside system that is up, until the block ends."""
    server = Outside()
    await server.up()
    try:
        yield server
    finally:
        await server.down()


def write_home(
    home: Path, server: Outside, *, limits: str = "", settings: str = "", policy: str = ""
) -> None:
    """A home whose requests ask the outside system."""
    texts = {
        name: text.format(address=server.address, policy=policy) for name, text in HOME.items()
    }
    texts["beltline.toml"] = settings
    texts["connections/shop.yaml"] = (
        f"connection: shop\nkind: http\naddress: {server.address}/\nprivate_addresses: allow\n"
        f"{limits}"
    )
    for name, text in texts.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
