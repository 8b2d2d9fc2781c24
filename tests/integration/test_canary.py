"""A secret in every connection and source, and every module that uses one before a server that
says back all it was told: the secret is found nowhere but where it belongs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.unit.catalog.shipped import SHIPPED

ADDRESSES = {
    "bitrix24": "http://127.0.0.1:{port}/rest/",
    "http": "http://127.0.0.1:{port}/",
    "kafka": "kafka://127.0.0.1:{port}",
    "mqtt": "mqtt://127.0.0.1:{port}",
    "nats": "nats://127.0.0.1:{port}",
    "rabbitmq": "amqp://127.0.0.1:{port}",
    "redis": "redis://127.0.0.1:{port}",
    "smtp": "smtp://127.0.0.1:{port}",
    "sql": "postgresql://127.0.0.1:{port}/shop",
    "webhook": "http://127.0.0.1:{port}/",
}
WITH_USER = frozenset({"kafka", "mqtt", "nats", "rabbitmq", "redis", "smtp", "sql"})
OWN_CHOICE = {"http-request": "http", "webhook-send": "webhook"}  # a connection, or none
KEPT_IN_THE_HUB = frozenset({"bitrix24", "http", "nats", "sql", "site"})
SECRETS = {kind: f"canary-of-{kind}-7f3a" for kind in (*ADDRESSES, "site", "portal")}
SECRETS["webhook"] = f"whsec_{base64.b64encode(b'canary-of-webhook-7f3a-and-more').decode()}"
FORMS = [
    form.encode()
    for secret in SECRETS.values()
    for form in (secret, secret.removeprefix("whsec_"), base64.b64encode(secret.encode()).decode())
]


def modules() -> dict[str, tuple[str, dict[str, Any]]]:
    """Each module that uses a connection: the kind, and its first example."""
    found = {}
    for module in SHIPPED.values():
        kind = module.connection or OWN_CHOICE.get(module.name)
        if kind is not None:
            found[module.name] = (kind, module.examples[0].config)
    return found


def name_of(kind: str) -> str:
    return f"{kind.upper()}_SECRET"


def write(home: Path, name: str, content: Any) -> None:
    file = home / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says back all it is told, whatever the protocol; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while told := await reader.read(65_536):
                if b" HTTP/1.1\r\n" in told:
                    status = "200 OK" if b"/orders" in told else "400 No"
                    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(told)}\r\n"
                    head += "Content-Type: text/plain\r\nX-Said: " + told.split(b"\r\n")[0].decode()
                    writer.write(head.encode() + b"\r\n\r\n")
                writer.write(told)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    async with echo() as port:
        (tmp_path / "beltline.toml").touch()
        for kind, address in ADDRESSES.items():
            connection = {
                "connection": kind,
                "kind": kind,
                "address": address.format(port=port),
                "secret": f"${{{name_of(kind)}}}",
                "private_addresses": "allow",
            }
            if kind in WITH_USER:
                connection["user"] = "vera"
            write(tmp_path, f"connections/{kind}.yaml", connection)
        for name, (kind, config) in modules().items():
            step = {
                "id": "only",
                "module": name,
                "connection": kind,
                "with": {**config, "url": "/orders"} if name == "http-request" else config,
                "retry": {"attempts": 1},
                "timeout": "3s",
            }
            slug = name.replace(".", "-")
            write(tmp_path, f"processes/{slug}.yaml", {"process": slug, "steps": [step]})
            source = {"source": slug, "kind": "webhook", "process": slug}
            source["verify"] = {"bearer": f"${{{name_of('site')}}}"}  # type: ignore[assignment]
            write(tmp_path, f"sources/{slug}.yaml", source)
        yield tmp_path


async def beltline(home: Path, *words: str, sent: str | None = None, code: int = 0) -> bytes:
    """What a command says, on both ways."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", *words, "--home", str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    said, _ = await process.communicate((sent or "").encode())
    assert process.returncode == code, said.decode()
    return said


def environment() -> dict[str, str]:
    own = {name_of(kind): SECRETS[kind] for kind in SECRETS if kind not in KEPT_IN_THE_HUB}
    return {**os.environ, **own}


class Told:
    """All that anybody is shown of a hub, by where it was."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}

    def leaks(self) -> list[str]:
        """Where a secret stands."""
        return [
            f"{where}: {text[max(0, text.find(form) - 80) :][:200]!r}"
            for where, text in self.all.items()
            for form in FORMS
            if form in text
        ]


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_secret_is_found_where_it_does_not_belong(home: Path) -> None:
    told = Told()
    for kind in sorted(KEPT_IN_THE_HUB):
        said = await beltline(home, "secret", "set", name_of(kind), sent=SECRETS[kind] + "\n")
        told.all[f"secret set {kind}"] = said
    token = (await beltline(home, "token", "create", "--role", "admin")).decode().split()[-1]
    told.all["publish"] = await beltline(home, "publish")
    hub = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "serve", "--home", str(home), "--port", "0"),
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert hub.stderr is not None
    lines = bytearray()
    try:
        async for line in hub.stderr:
            lines += line
            if b"listens on" in line:
                break
        reading = asyncio.create_task(hub.stderr.read())
        await use(lines.split()[-1].decode(), token, told)
        hub.send_signal(signal.SIGTERM)
        lines += await reading
        await hub.wait()
    finally:
        if hub.returncode is None:
            hub.kill()
    told.all["the log"] = bytes(lines)
    told.all["doctor"] = await beltline(home, "doctor")
    told.all["secret list"] = await beltline(home, "secret", "list")
    told.all["requests"] = await beltline(home, "request", "list", "--json")
    for kind, code in (("http", 0), ("bitrix24", 1)):
        told.all[f"test {kind}"] = await beltline(home, "connection", "test", kind, code=code)
    await beltline(home, "backup", str(home / "data" / "copy.db"))
    for file in (home / "data").rglob("*"):
        if file.is_file():
            told.all[str(file.relative_to(home))] = file.read_bytes()
    assert "data/copy.db" in told.all
    assert told.leaks() == []


async def use(address: str, token: str, told: Told) -> None:
    """Has every module called, and looks at all that the API shows."""
    right, wrong = ({"Authorization": f"Bearer {one}"} for one in (SECRETS["site"], "wrong"))
    admin = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(address) as session:

        async def carry(name: str) -> str:
            """Has the sender refused once, and the module called once; gives the run's id."""
            path = f"/in/{name.replace('.', '-')}"
            async with session.post(path, json={"n": 1}, headers=wrong) as answer:
                assert answer.status == 401
            wait = {**right, "Prefer": "wait=30"}
            async with session.post(path, json={"n": 1}, headers=wait) as answer:
                assert answer.status == 200, f"{name}: {await answer.text()}"
                id: str = (await answer.json())["run"]
            async with session.get(f"/api/v1/runs/{id}", headers=admin) as answer:
                shown = await answer.text()
                told.all[f"the run of {name}"] = shown.encode()
            ends = "completed" if name == "http-request" else "stopped"
            assert json.loads(shown)["status"] == ends, f"{name}: {shown}"
            # It was called with its secret, or else this would show nothing.
            assert "is not set" not in shown
            return id

        ids = await asyncio.gather(*map(carry, modules()))
        for path in (
            *("runs", "dead-letters", "requests", "sources", "buffers", "connections", "secrets"),
            *(f"requests/{id}" for id in ids),
        ):
            async with session.get(f"/api/v1/{path}", headers=admin) as answer:
                assert answer.status == 200, path
                told.all[path] = await answer.read()

        async def test(kind: str) -> None:
            async with session.post(f"/api/v1/connections/{kind}/test", headers=admin) as answer:
                told.all[f"the test of {kind}"] = await answer.read()

        await asyncio.gather(*map(test, ADDRESSES))
        async with session.get("/metrics", headers=admin) as answer:
            told.all["metrics"] = await answer.read()
