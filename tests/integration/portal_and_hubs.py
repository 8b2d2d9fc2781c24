"""A portal and hubs that look at it, each a process with an address of its own, to be killed and
started again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.ports import free_ports

CODE = "c0de"
TOKEN = "t0ken-of-the-application"
PROCESS = """\
process: take
steps:
  - id: noted
    module: set
    with: {event: "{{ request.event }}", id: "{{ request.id }}", found: "{{ meta.found }}"}
"""
PATIENCE_S = 90.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Program:
    """A process that listens at `address`, whatever becomes of it."""

    def __init__(self, port: int, *arguments: str) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", *arguments, "--port", str(port)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, "PORTAL_CODE": CODE, "PORTAL_TOKEN": TOKEN},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await until(self._answers)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, f"{self._command} ended"
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.address}/healthz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """Ends it without a word: SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Portal(Program):
    """A portal with one incoming webhook, and outgoing ones to all hubs."""

    def __init__(self, folder: Path, *options: str, hubs: list[int]) -> None:
        [self.port] = free_ports(1)
        outgoing = [f"--outgoing=http://127.0.0.1:{port}/in/crm" for port in hubs]
        super().__init__(
            self.port,
            *("bitrix24_portal", "--data", str(folder / "portal.db"), "--faults"),
            *("--secret", CODE, "--application-token", TOKEN, *outgoing, *options),
        )
        self.session: aiohttp.ClientSession

    async def call(self, method: str, **params: Any) -> Any:
        """The result of a REST method."""
        url = f"{self.address}/rest/1/{CODE}/{method}"
        async with self.session.post(url, json=params) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["result"]

    async def batch(self, commands: list[str]) -> list[Any]:
        """The results of many calls; for the rate limit they are few."""
        results: list[Any] = []
        for begin in range(0, len(commands), 50):
            part = {f"c{n}": one for n, one in enumerate(commands[begin : begin + 50])}
            answer = await self.call("batch", halt=1, cmd=part)
            results += answer["result"].values()
        return results

    async def order(self, *faults: dict[str, Any]) -> None:
        """Orders faults."""
        async with self.session.post(f"{self.address}/faults", json=list(faults)) as answer:
            assert answer.status == 200, await answer.text()

    async def lists(self) -> list[dict[str, Any]]:
        """The calls of crm.item.list that were made so far."""
        return await self._pages("/ledger?method=crm.item.list&", "calls")

    async def outcomes(self) -> Counter[str]:
        """How the events went that were sent so far."""
        events = await self._pages("/ledger/events?", "events")
        return Counter(one["outcome"] for one in events)

    async def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["id"] if found else 0
            async with self.session.get(f"{self.address}{path}after={after}") as answer:
                page = (await answer.json())[key]
            if not page:
                return found
            found += page


class HubNode(Program):
    """A hub with the source `crm`."""

    def __init__(self, home: Path, port: int, store: str = "") -> None:
        more = ("--store", store) if store else ()
        super().__init__(port, "beltline", "serve", "--home", str(home), *more)
        self._home = home
        self._store = more
        self._token = ""

    async def ask(self, path: str) -> Any:
        """What the API tells."""
        if not self._token:
            made = await self.command("token", "create", "--role", "viewer")
            self._token = made.strip()
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            aiohttp.ClientSession(self.address, headers=headers) as session,
            session.get(path) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def command(self, *words: str) -> str:
        """Runs a command of the hub beside it."""
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "beltline", *words, "--home", str(self._home), *self._store),
            stdout=subprocess.PIPE,
        )
        said, _ = await running.communicate()
        assert running.returncode == 0
        return said.decode()

    async def feed(self) -> dict[str, Any]:
        """How the source fares on this node."""
        [source] = (await self.ask("/api/v1/sources"))["sources"]
        state: dict[str, Any] = source["feed"]
        return state

    async def has_looked(self) -> bool:
        """Whether it has looked since it was started."""
        return (await self.feed())["last_look"] is not None

    async def told(self) -> Counter[tuple[str, int]]:
        """What completed runs were told of: (event, id), and how often."""
        return Counter((one["event"], one["id"]) for one in await self.noted())

    async def noted(self) -> list[dict[str, Any]]:
        """What the process made of its requests, of those runs that are completed."""
        ids = await self._runs("&status=completed")
        runs = [await self.ask(f"/api/v1/runs/{id}") for id in ids]
        return [run["document"]["noted"] for run in runs]

    async def count(self) -> int:
        """How many runs there are, completed or not."""
        return len(await self._runs())

    async def _runs(self, more: str = "") -> list[str]:
        found: list[str] = []
        while True:
            page = await self.ask(f"/api/v1/runs?source=crm&limit=200{more}")
            found += [run["id"] for run in page["runs"]]
            if not page.get("next"):
                return found
            more = f"{more.partition('&before')[0]}&before={page['next']}"

    async def completed(self, expected: set[tuple[str, int]]) -> None:
        """Waits until so many runs are completed, and sees that these were told, each once, and
        nothing beside.
        """

        async def are() -> bool:
            return len(await self._runs("&status=completed")) >= len(expected)

        await until(are)
        assert await self.told() == Counter(expected)
        assert await self.count() == len(expected)


async def post_event(address: str, event: str, id: int, ts: int, token: str = TOKEN) -> int:
    """Sends an event as the portal does; gives the status."""
    form = {
        "event": event,
        "data[FIELDS][ID]": str(id),
        "ts": str(ts),
        "auth[application_token]": token,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/in/crm", data=form, headers=_FORM) as answer,
    ):
        return answer.status


def write_home(home: Path, portal: Portal, rest: str) -> None:
    """A home whose source `crm` looks at the portal."""
    files = {
        "beltline.toml": "",
        "processes/take.yaml": PROCESS,
        "connections/crm.yaml": (
            f"connection: crm\nkind: bitrix24\naddress: {portal.address}/rest/1/\n"
            'secret: "${PORTAL_CODE}"\nprivate_addresses: allow\n'
        ),
        "sources/crm.yaml": (
            "source: crm\nkind: bitrix24\nprocess: take\nconnection: crm\n"
            'application_token: {secret: "${PORTAL_TOKEN}"}\n' + rest
        ),
    }
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits for something that another process has to do."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)
