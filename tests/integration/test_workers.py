"""`beltline worker` as a process, and workers in three languages, behind a hub."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from beltline.composition import Running, running_hub
from beltline.engine.ids import id_of
from beltline.engine.inspection import RunView, inspect
from beltline.engine.records import NewRequest
from beltline.engine.work import Accepted
from beltline.publishing import publish_files
from beltline.settings import open_home
from tests.integration.test_serve import MODULE
from tests.servers.daemon import Daemon, own_place, program, running
from tests.servers.ports import free_ports
from tests.servers.wanted import wanted

EXAMPLE = Path(__file__).parents[2] / "examples" / "workers"
HELD = """
process: held
steps:
  - {id: hold, module: hold, retry: {attempts: 50, first: 50ms, factor: 1}, timeout: 1m}
"""


class Site:
    """A home with one process and a hub over it."""

    def __init__(self, hub: Running, process: str) -> None:
        self.hub = hub
        self.process = process

    async def submit(self, body: Any) -> bytes:
        """A request; gives the key of its run."""
        node = self.hub.node
        key, now = node.intake.new_key()
        version, process = self.hub.processes.newest(self.process)
        raw = json.dumps(body).encode()
        request = NewRequest(key, "test", self.process, now, raw, b"{}", body_hash=b"")
        assert isinstance(await node.intake.submit(request, version, process), Accepted)
        return key

    async def at_rest(self, key: bytes) -> RunView:
        """The run once nothing goes on by itself."""
        watch = self.hub.node.watch(key)
        view = (await inspect(self.hub.store, self.hub.processes, key)).view()
        if view.status not in ("completed", "stopped"):
            await watch.wait()
            view = (await inspect(self.hub.store, self.hub.processes, key)).view()
        assert view.id == id_of(key)
        return view


@asynccontextmanager
async def site(home: Path, process: str) -> AsyncIterator[Site]:
    opened = open_home(home)
    async with running_hub(opened, durable=False, own_url="http://hub.test") as hub:
        assert not await publish_files(opened, hub.processes)
        yield Site(hub, process)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "hold.py").write_text(MODULE)
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "held.yaml").write_text(HELD)
    os.mkfifo(tmp_path / "calls")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


class WorkerProcess:
    """`beltline worker` with the module that waits at a gate."""

    def __init__(self, home: Path, port: int, *options: str) -> None:
        self.home = home
        self.address = f"http://127.0.0.1:{port}"
        self._given: tuple[str, ...] = ("--http", f"127.0.0.1:{port}")
        self._says = b"the worker listens on"
        self._options = options
        self.process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        given = (sys.executable, "-m", "beltline", "worker", str(self.home / "hold.py"))
        listens = (*self._given, "--home", str(self.home))
        environment = {"CALLS": str(self.home / "calls"), "GATE": str(self.home / "gate")}
        self.process = await asyncio.create_subprocess_exec(
            *(*given, *listens, *self._options),
            env={**os.environ, **environment},
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stderr is not None
        line = await self.process.stderr.readline()
        assert self._says in line, line
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def called(self) -> str:
        """The run of the next call; returns when the handler has begun."""
        return await asyncio.to_thread((self.home / "calls").read_text)

    async def let_pass(self) -> None:
        """Lets the handler that waits go on."""
        await asyncio.to_thread((self.home / "gate").write_text, "go")

    async def health(self) -> tuple[int, Any]:
        """What the worker says of itself."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.address + "/healthz") as got,
        ):
            return got.status, await got.json()


def bind(home: Path) -> int:
    [port] = free_ports(1)
    (home / "beltline.toml").write_text(f'[modules.hold]\ntransport = "http://127.0.0.1:{port}/"\n')
    return port


async def test_a_worker_tells_who_it_is_and_finishes_its_work_at_a_signal(home: Path) -> None:
    port = bind(home)
    async with WorkerProcess(home, port, "--grace", "30") as worker, site(home, "held") as on:
        status, health = await worker.health()
        assert (status, health["status"], health["modules"]) == (200, "ok", ["hold@1"])
        key = await on.submit({})
        assert await worker.called() == id_of(key)
        worker.process.send_signal(signal.SIGTERM)
        await worker.let_pass()
        view = await on.at_rest(key)
        assert await worker.process.wait() == 0
        heard = on.hub.hub.workers.last("hold")
    assert [line["event"] for line in view.journal].count("step-started") == 1
    assert view.status == "completed"
    assert heard is not None
    assert heard.version.startswith("hold.py (beltline ")


async def test_what_a_stopping_worker_cannot_finish_goes_to_the_next(home: Path) -> None:
    port = bind(home)
    async with site(home, "held") as on:
        async with WorkerProcess(home, port, "--grace", "0.1") as worker:
            key = await on.submit({})
            await worker.called()
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.process.wait() == 0
        async with WorkerProcess(home, port) as worker:
            assert await worker.called() == id_of(key)
            await worker.let_pass()
            view = await on.at_rest(key)
    failures = [line["error"] for line in view.journal if line["event"] == "step-failed"]
    text = "this worker stops; its calls go to the next one"
    assert failures[0] == {"kind": "retry", "message": text}
    assert view.status == "completed"


async def test_a_worker_that_is_killed_in_the_middle_is_followed_by_the_next(home: Path) -> None:
    port = bind(home)
    async with site(home, "held") as on:
        async with WorkerProcess(home, port) as worker:
            key = await on.submit({})
            await worker.called()
            worker.process.kill()
            await worker.process.wait()
        async with WorkerProcess(home, port) as worker:
            assert await worker.called() == id_of(key)
            await worker.let_pass()
            view = await on.at_rest(key)
    failures = [line["error"]["kind"] for line in view.journal if line["event"] == "step-failed"]
    assert set(failures) == {"transport"}
    assert view.status == "completed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gone.py", "--http", "127.0.0.1:0"], "No such file"),
        (["empty.py", "--http", "127.0.0.1:0"], "neither `module"),
        (["empty.py", "--http", "9000"], "--http takes HOST:PORT"),
        (["empty.py", "--http", "0.0.0.0:0"], "BELTLINE_WORKER_SECRET"),
        (["no.such.module", "--http", "127.0.0.1:0"], "No module named"),
    ],
)
async def test_what_cannot_be_served_is_told(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "empty.py").write_text("")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "worker", *arguments),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode in (1, 2)
    assert says in told.decode()
    assert "Traceback" not in told.decode()


def test_the_doctor_tells_of_a_secret_that_no_worker_could_be_shown(tmp_path: Path) -> None:
    (tmp_path / "beltline.toml").write_text(
        '[modules.far]\ntransport = "http://127.0.0.1:9/"\nsecret = "${FAR_WORKER}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "beltline", "doctor", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "[modules.far]: the secret ${FAR_WORKER} is not set" in done.stdout


async def test_three_languages_work_on_one_request(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(EXAMPLE, home)
    python, node, php = free_ports(3)
    settings = (home / "beltline.toml").read_text()
    for old, port in (("9001", python), ("9002", node), ("9003", php)):
        settings = settings.replace(old, str(port))
    (home / "beltline.toml").write_text(settings)
    with ExitStack() as opened:
        for name, package, port, command in (
            (sys.executable, "", python, ["-m", "beltline", "worker", "score_lead.py", "--http"]),
            ("node", "nodejs", node, ["format_phone.mjs"]),
            ("php", "php-cli", php, ["-S"]),
        ):
            opened.enter_context(wanted(_worker(home, name, package, port, command)))
        async with AsyncExitStack() as stack:
            on = await stack.enter_async_context(site(home, "greet"))
            good = {"name": "Анна", "phone": "+7 (900) 123-45-67", "question": "How much is it?"}
            view = await on.at_rest(await on.submit(good))
            letter = "Hello Анна, we call you at +7 900 123-45-67."
            assert (view.status, view.document["letter"]) == ("completed", {"text": letter})
            for wrong, reason in (
                ({**good, "question": "unsubscribe"}, "score (visit 1) is a dead letter: reject"),
                ({**good, "phone": "12"}, "phone (visit 1) is a dead letter: reject: 12 is no"),
                ({**good, "name": ""}, "letter (visit 1) is a dead letter: reject: a letter needs"),
            ):
                view = await on.at_rest(await on.submit(wrong))
                assert view.because.startswith(reason)
            heard = {
                name: on.hub.hub.workers.last(name) for name in ("format-phone", "write-letter")
            }
    assert [one.version for one in heard.values() if one] == [
        "format-phone 1.0",
        "write-letter 1.0",
    ]


def _worker(home: Path, name: str, package: str, port: int, command: list[str]) -> Any:
    place = own_place(home / "workers")
    found = name if not package else program(name, package)
    listens = f"127.0.0.1:{port}"
    tail = {"node": [str(port)], "php": [listens, "write_letter.php"]}.get(name, [listens])
    return running(Daemon([found, *command, *tail], place, port))
