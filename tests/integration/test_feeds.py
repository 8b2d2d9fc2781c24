"""Sources that look for themselves, in a hub that is a process: what they bring is carried out.

Whoever waits here asks the hub, again and again, until it is so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tests.servers.s3 import BUCKET, KEY_ID, s3_service

EXAMPLE = Path(__file__).parents[2] / "examples" / "price-list"
PROCESS = """\
process: lead
steps:
  - {id: greet, module: set, with: {name: "{{ request.name }}", source: "{{ meta.source }}"}}
"""
SOURCES = {
    "tick": 'kind: schedule\nevery: 1s\nrequest: {name: "{{ meta.due }}"}\n',
    "monthly": 'kind: schedule\ncron: "0 0 1 * *"\ntimezone: UTC\nrequest: {name: month}\n',
    "drop": "kind: files\nfolder: in\nevery: 1s\nsettle: none\neach: row\n",
    "bucket": f"kind: files\ns3: {{connection: store, bucket: {BUCKET}}}\nevery: 1s\n",
    "orders": (
        "kind: poll\nevery: 1s\nhttp:\n  connection: shop\n  path: orders\n"
        '  query: {after: "{{ cursor }}"}\n  id: "{{ item.id }}"\n  cursor: "{{ item.id }}"\n'
    ),
    "rows": (
        "kind: poll\nevery: 1s\nsql:\n  connection: base\n"
        "  query: select id, name from people where id > :cursor\n"
        '  cursor: "{{ item.id }}"\n  start: 0\n'
    ),
}
PEOPLE = ("create table people (id integer, name text)", "insert into people values (1, 'Rosa')")


def write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write(tmp_path, {"beltline.toml": "", "processes/lead.yaml": PROCESS})
    (tmp_path / "in").mkdir()
    return tmp_path


def add_sources(home: Path, *names: str) -> None:
    write(
        home,
        {
            f"sources/{name}.yaml": f"source: {name}\nprocess: lead\n{SOURCES[name]}"
            for name in names
        },
    )


class Hub(msgspec.Struct):
    """A hub as a process, and its API."""

    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        async with self.session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def runs(self, source: str) -> list[Any]:
        """The completed runs of a source."""
        found = (await self.get(f"/api/v1/runs?source={source}&status=completed"))["runs"]
        return list(found)

    async def completed(self, source: str, count: int = 1) -> list[Any]:
        """The runs of a source, once so many are completed."""

        async def enough() -> bool:
            return len(await self.runs(source)) >= count

        await until(enough)
        return await self.runs(source)

    async def name(self, run: Any) -> str:
        """What the process made of the request."""
        whole = await self.get(f"/api/v1/runs/{run['id']}")
        name: str = whole["document"]["greet"]["name"]
        return name


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            pass


@asynccontextmanager
async def serving(home: Path, token: str = "") -> AsyncIterator[tuple[Hub, str]]:
    """A hub, and its admin token; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
        env={**os.environ, "STORE_KEY": "s3cret-key"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    address = ""
    async for raw in process.stderr:
        line = raw.decode()
        if line.startswith("admin token"):
            token = line.split()[-1]
        if "listens on" in line:
            address = line.split()[-1]
            break
    headers = {"Authorization": f"Bearer {token}"}
    reading = asyncio.create_task(process.stderr.read())  # so that it never waits for a reader
    try:
        async with aiohttp.ClientSession(address, headers=headers) as session:
            yield Hub(process, session), token
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


@asynccontextmanager
async def shop() -> AsyncIterator[str]:
    """A server with one order."""

    async def orders(request: web.Request) -> web.Response:
        return web.json_response([] if "after" in request.query else [{"id": 1, "name": "Olga"}])

    app = web.Application()
    app.router.add_get("/orders", orders)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_schedule_a_file_an_address_a_database_and_a_bucket(home: Path) -> None:
    async with shop() as address, s3_service() as store:
        add_sources(home, *SOURCES)
        private = "private_addresses: allow\n"
        write(
            home,
            {
                "connections/shop.yaml": (
                    f"connection: shop\nkind: http\naddress: {address}\n{private}"
                ),
                "connections/base.yaml": (
                    "connection: base\nkind: sql\naddress: sqlite:///people.db\n"
                ),
                "connections/store.yaml": (
                    f"connection: store\nkind: s3\naddress: {store.address}\nuser: {KEY_ID}\n"
                    'secret: "${STORE_KEY}"\n'
                ),
                "in/leads.csv": "name\nFlora\n",
            },
        )
        store.put("lead.json", b'{"name": "Berta"}')
        with closing(sqlite3.connect(home / "people.db")) as database, database:
            for statement in PEOPLE:
                database.execute(statement)
        async with serving(home) as (hub, _):
            for source, name in (
                ("drop", "Flora"),
                ("orders", "Olga"),
                ("rows", "Rosa"),
                ("bucket", "Berta"),
            ):
                [run] = await hub.completed(source)
                assert await hub.name(run) == name
            run = (await hub.completed("tick"))[0]
            assert (await hub.name(run)).endswith("+00:00")
            assert await hub.runs("monthly") == []
            async with hub.session.post("/api/v1/sources/monthly/run-now") as answer:
                assert answer.status == 202
            command = [sys.executable, "-m", "beltline", "source", "run-now", "monthly", "--json"]
            by_hand = await asyncio.create_subprocess_exec(
                *command, "--home", str(home), stdout=asyncio.subprocess.PIPE
            )
            said, _ = await by_hand.communicate()
            assert by_hand.returncode == 0
            months = await hub.completed("monthly", 2)
            assert json.loads(said)["run"] in {run["id"] for run in months}
            sources = (await hub.get("/api/v1/sources"))["sources"]
            states = {one["source"]: one["feed"]["state"] for one in sources}
            assert set(states.values()) == {"running"}, sources
            hub.process.terminate()
            assert await hub.process.wait() == 0
    assert (home / "in/done/leads.csv").exists()
    assert "done/lead.json" in store.objects


async def test_the_example_of_a_price_list(tmp_path: Path) -> None:
    home = tmp_path / "prices"
    shutil.copytree(EXAMPLE, home)
    source = home / "sources/prices.yaml"
    source.write_text(source.read_text("utf-8").replace("5s", "1s"), encoding="utf-8")
    async with serving(home) as (hub, _):
        prices = set()
        for run in await hub.completed("prices", 3):
            row = (await hub.get(f"/api/v1/runs/{run['id']}"))["document"]["row"]
            prices.add((row["sku"], row["price"], row["from"]))
        assert prices == {
            ("A-100", 12.5, "prices.csv, row 1"),
            ("A-200", 7.9, "prices.csv, row 2"),
            ("B-100", 149, "prices.csv, row 3"),
        }
        async with hub.session.post("/api/v1/sources/reminder/run-now") as answer:
            assert answer.status == 202
        await hub.completed("reminder")


async def test_a_file_comes_once_whatever_is_killed(home: Path) -> None:
    add_sources(home, "drop")
    rows = 1_500
    write(home, {"in/leads.csv": "name\n" + "".join(f"n{n}\n" for n in range(rows))})
    token = ""
    for least in (1, 400, 900):
        async with serving(home, token) as (hub, token):

            async def moving(hub: Hub = hub, least: int = least) -> bool:
                return await taken(hub) >= least

            await until(moving)
            hub.process.kill()
    async with serving(home, token) as (hub, _):

        async def all_ended() -> bool:
            if not await asyncio.to_thread((home / "in/done/leads.csv").exists):
                return False
            return all(run["status"] == "completed" for run in await everything(hub))

        await until(all_ended)
        names = [await hub.name(run) for run in await everything(hub)]
    assert sorted(names) == sorted(f"n{n}" for n in range(rows))


async def taken(hub: Hub) -> int:
    """How many requests came in."""
    return len(await everything(hub))


async def everything(hub: Hub) -> list[Any]:
    """All runs, page by page."""
    found: list[Any] = []
    before = ""
    while True:
        page = await hub.get(f"/api/v1/runs?source=drop&limit=200{before}")
        found += page["runs"]
        if not page.get("next"):
            return found
        before = f"&before={page['next']}"
