"""A hub that works is moved: what waits in SQLite is carried to its end over PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from beltline.composition import Running, running_hub
from beltline.core.inputs import Retry, encode_message
from beltline.core.run import Status
from beltline.engine.records import HeldFilter, NewRequest
from beltline.publishing import publish_files
from beltline.settings import Home, open_home
from beltline.stores import open_store
from beltline.stores.postgres.address import read_address
from beltline.stores.transfer.moving import back_up
from tests.integration.moved_stores import address, filled, moved, seen
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import NoServer

FILES = {
    "processes/waiting.yaml": (
        "process: waiting\nsteps:\n"
        '  - {id: pause, module: wait, with: {for: "{{ request.for }}"}, next: [noted]}\n'
        '  - {id: noted, module: set, with: {text: "{{ request.name }}"}}\n'
    ),
    "sources/waiting.yaml": "source: waiting\nkind: webhook\nprocess: waiting\nverify: none\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for name, text in FILES.items():
        file = tmp_path / "home" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return open_home(tmp_path / "home")


async def send(hub: Running, process: str, body: bytes, *, held: bool = False) -> bytes:
    """Takes in a request for a process."""
    key, now = hub.node.intake.new_key()
    request = NewRequest(key, "waiting", process, now, body, b"{}", held=held)
    version_id, definition = (0, None) if held else hub.processes.newest(process)
    await hub.node.intake.submit(request, version_id, definition)
    return key


async def until(hub: Running, key: bytes, status: Status) -> None:
    """Returns when the run's row says so and nobody owns it."""
    async with asyncio.timeout(30):
        while True:
            record, _ = await hub.store.run(key)
            if record.status == status and not record.owned:
                return
            await asyncio.sleep(0.02)


async def test_what_waits_is_carried_to_its_end_by_the_new_hub(
    home: Home, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = f"sqlite:///{tmp_path}/hub.db"
    new = address("postgres", "hub", postgres_server, tmp_path)
    async with running_hub(home, url=old, durable=False) as hub:
        assert await publish_files(home, hub.processes) == []
        await hub.hub.buffers().pause("waiting")
        done = await send(hub, "waiting", b'{"for":"0s","name":"done"}')
        brief = await send(hub, "waiting", b'{"for":"1s","name":"brief"}')
        long = await send(hub, "waiting", b'{"for":"9h","name":"long"}')
        stopped = await send(hub, "waiting", b'{"name":"without a time"}')
        buffered = await send(hub, "waiting", b'{"for":"0s","name":"held"}', held=True)
        await until(hub, done, "completed")
        await until(hub, long, "waiting")
        await until(hub, stopped, "stopped")
        versions = await hub.store.newest_versions()
    store = await open_store(old)  # beside no hub: the message is in the inbox at the move
    await store.post(stopped, encode_message(Retry(None, {"for": "0s"}, "test")), 0)
    await store.close()
    await moved(old, new)
    async with running_hub(home, url=new, durable=False) as hub:
        assert await hub.store.newest_versions() == versions
        await until(hub, brief, "completed")
        await until(hub, stopped, "completed")
        assert await hub.hub.buffers().release(HeldFilter("waiting"), 9) == 1
        hub.hub.wake_runs()
        await until(hub, buffered, "completed")
        record, _ = await hub.store.run(long)
        assert (record.status, record.owned) == ("waiting", False)
        assert (await hub.store.run(done))[0].status == "completed"
        fresh = await send(hub, "waiting", b'{"for":"0s","name":"fresh"}')
        await until(hub, fresh, "completed")


async def test_a_hub_goes_to_a_database_behind_a_pooler_and_back(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    old = address("sqlite", "old", postgres_server, tmp_path)
    back = address("sqlite", "back", postgres_server, tmp_path)
    database = address("postgres", "pooled", postgres_server, tmp_path).rsplit("/", 1)[1]
    await filled(old)
    try:
        with pgbouncer(tmp_path / "pooler", postgres_server, database) as url:
            new = f"{url}?pooling=transaction"
            await moved(old, new)
            assert await seen(new) == await seen(old)
            await back_up(read_address(new), str(tmp_path / "copy.db"))
            await moved(new, back)
    except NoServer as missing:
        pytest.skip(str(missing))
    assert await seen(back) == await seen(old)
    assert await seen(f"sqlite:///{tmp_path}/copy.db") == await seen(old)


def beltline(*arguments: str) -> tuple[int, str, str]:
    """The command's exit code, its results, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "beltline", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def test_the_command_tells_what_it_moved_and_what_comes_next(tmp_path: Path) -> None:
    old, new = f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/new.db"
    await filled(old, cleanly=False)
    command = ("move", "--from", old, "--to", new)
    code, table, told = await asyncio.to_thread(beltline, *command)
    assert code == 0, told
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    assert rows["table"] == ["moved", "checked"]
    assert rows["request"] == ["16", "16"]
    assert "journal: 15 moved\n" in told
    assert "journal: 15 checked\n" in told
    assert "2 runs were moving" in told
    assert "must not be served again" in told
    code, table, told = await asyncio.to_thread(beltline, *command)
    assert (code, table) == (1, "")
    assert "is not empty" in told
    assert "Traceback" not in told
    code, _, told = await asyncio.to_thread(beltline, "move", "--from", old)
    assert code == 2
    assert "--to" in told


async def test_a_password_is_not_shown(tmp_path: Path) -> None:
    old = f"sqlite:///{tmp_path}/old.db"
    await filled(old)
    new = "postgresql://beltline:geheim@127.0.0.1:1/hub"
    code, _, told = await asyncio.to_thread(beltline, "move", "--from", old, "--to", new)
    assert code == 1
    assert "127.0.0.1:1/hub" in told
    assert "geheim" not in told
