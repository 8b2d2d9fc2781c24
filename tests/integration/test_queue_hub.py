"""A whole hub with its modules behind a broker: an outage, a restart, and a worker as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beltline.engine.ids import id_of
from beltline.engine.inspection import RunView, inspect
from beltline.transports import queue
from tests.conformance.queue_kinds import Servers, started
from tests.integration.test_serve import MODULE
from tests.integration.test_workers import HELD, Site, WorkerProcess, site
from tests.servers.call_brokers import CARRIERS, BrokerServer

pytestmark = pytest.mark.parametrize("kind", CARRIERS)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory) as servers:
        yield servers


@pytest.fixture
def server(kind: str, brokers: Servers) -> BrokerServer:
    return brokers(kind)


@pytest.fixture
def address(server: BrokerServer) -> str:
    return server.address(f"t{os.urandom(6).hex()}")


@pytest.fixture
def home(tmp_path: Path, address: str) -> Path:
    (tmp_path / "hold.py").write_text(MODULE)
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "held.yaml").write_text(HELD)
    (tmp_path / "beltline.toml").write_text(f'[modules.hold]\ntransport = "{address}"\n')
    os.mkfifo(tmp_path / "calls")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


class QueueProcess(WorkerProcess):
    """`beltline worker` with the module that waits at a gate, behind a broker."""

    def __init__(self, home: Path, address: str, *options: str) -> None:
        super().__init__(home, 0, *options)
        self._given = ("--transport", address)
        self._says = b"the worker takes calls from"


async def until(on: Site, key: bytes, status: str) -> RunView:
    """The run once it has this status: looked at again after each commit of the belt."""
    while True:
        view = (await inspect(on.hub.store, on.hub.processes, key)).view()
        if view.status == status:
            return view
        await on.hub.node.flush()


def told(view: RunView) -> list[str]:
    return [line["event"] for line in view.journal]


async def test_a_run_waits_at_the_broker_outside_of_memory_and_survives_the_hub(
    home: Path, address: str
) -> None:
    async with site(home, "held") as on:
        key = await on.submit({})
        view = await until(on, key, "waiting")
        assert len(on.hub.node.runs) == 0
        assert "waits for the answer to attempt 1" in view.because
    async with QueueProcess(home, address) as worker:
        assert await worker.called() == id_of(key)
        await worker.let_pass()  # it answers while no hub is there
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.process.wait() == 0
    async with site(home, "held") as on:
        view = await on.at_rest(key)
        heard = on.hub.hub.workers.last("hold")
    assert view.status == "completed"
    assert told(view) == [
        "run-started", "step-started", "step-deferred", "step-completed", "run-completed",
    ]  # fmt: skip
    assert heard is not None
    assert heard.version.startswith("hold.py (beltline ")


# The library of RabbitMQ, when its broker dies, may leave a coroutine behind that nobody awaits.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_that_is_down_parks_the_steps_and_the_work_goes_on_by_itself(
    home: Path, address: str, server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "AWAY_FIRST_MS", 200)
    monkeypatch.setattr(queue, "AWAY_MOST_MS", 200)
    async with QueueProcess(home, address) as worker, site(home, "held") as on:
        server.daemon.stop()
        key = await on.submit({})
        view = await until(on, key, "parked")
        assert "can be reached again" in view.because
        assert len(on.hub.node.runs) == 0
        server.daemon.start()
        assert await worker.called() == id_of(key)
        await worker.let_pass()
        view = await on.at_rest(key)
    assert view.status == "completed"
    assert "step-parked" in told(view)
    assert "step-failed" not in told(view)


async def test_what_a_stopping_worker_cannot_finish_goes_to_the_next_and_costs_nothing(
    home: Path, address: str
) -> None:
    async with site(home, "held") as on:
        async with QueueProcess(home, address, "--grace", "0.1") as worker:
            key = await on.submit({})
            await worker.called()
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.process.wait() == 0
        async with QueueProcess(home, address) as worker:
            assert await worker.called() == id_of(key)
            await worker.let_pass()
            view = await on.at_rest(key)
    assert told(view).count("step-started") == 1
    assert view.status == "completed"


async def test_a_worker_says_which_way_it_takes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "hold.py").write_text(MODULE)
    for given, text in (
        ((), "say --http HOST:PORT or --transport URL"),
        (("--http", "127.0.0.1:0", "--transport", "nats://127.0.0.1"), "one of them"),
        (("--transport", "ftp://127.0.0.1"), "such as nats://127.0.0.1:4222"),
        (("--transport", "nats://me:pass@127.0.0.1"), "name it as a secret"),
    ):
        command = (sys.executable, "-m", "beltline", "worker", str(tmp_path / "hold.py"))
        process = await asyncio.create_subprocess_exec(
            *command, *given, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == 2, said
        assert text in said.decode()
        assert b"pass@" not in said
