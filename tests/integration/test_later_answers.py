"""Later answers through a whole hub: 202, and then a POST to the signed address of the call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from beltline.api.app import create_app
from beltline.api.tokens import new_token
from beltline.composition import Running, running_hub
from beltline.core.limits import PRODUCTION
from beltline.engine.callbacks import Ticket
from beltline.engine.ids import id_of, key_of
from beltline.engine.inspection import RunView, inspect
from beltline.engine.records import NewRequest
from beltline.engine.work import Accepted
from beltline.publishing import publish_files
from beltline.settings import open_home
from tests.servers.asgi import served
from tests.unit.api.calling import Answered, call

PROCESS = """
process: slow
steps:
  - {id: first, module: later, with: {n: "{{ request.n }}"}, timeout: 1h, next: [second]}
  - {id: second, module: set, with: {seen: "{{ first.v }}"}}
"""
MODULE = """
from beltline.sdk import Config, Module, Output

class Given(Config):
    n: int

class Found(Output):
    v: int

module = Module(name="declared", version=1, summary="A worker has its handler.", category="site",
    icon="box", effect="idempotent", config=Given, output=Found, handler=None, examples=())
"""


class LaterWorker:
    """Takes every call over, and keeps its event; `at_once` is awaited before the 202."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.at_once: Callable[[dict[str, Any]], Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        event = json.loads(body)["data"]
        if self.at_once is not None:
            await self.at_once(event)
        self.events.put_nowait(event)
        headers = [(b"beltline-worker", b"later 2.0"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Site:
    """A hub with one process, and its worker."""

    def __init__(self, running: Running, worker: LaterWorker) -> None:
        self.running = running
        self.worker = worker
        self.app: ASGIApp = create_app(running.hub)

    async def submit(self, body: Any = None) -> str:
        """A request; gives the id of its run."""
        node = self.running.node
        key, now = node.intake.new_key()
        version, process = self.running.processes.newest("slow")
        raw = json.dumps(body or {"n": 1}).encode()
        request = NewRequest(key, "test", "slow", now, raw, b"{}", body_hash=b"")
        answer = await node.intake.submit(request, version, process)
        assert isinstance(answer, Accepted)
        return id_of(key)

    async def run(self, id: str) -> RunView:
        """The run as people see it."""
        key = key_of(id)
        assert key is not None
        return (await inspect(self.running.store, self.running.processes, key)).view()

    async def until(self, id: str, status: str) -> RunView:
        """The run, once it has that status: looked at again after each commit of the belt."""
        while (view := await self.run(id)).status != status:
            await self.running.node.flush()
        return view

    async def deferred(self) -> tuple[str, dict[str, Any]]:
        """A run whose first step waits for its later answer, and the event of its call."""
        id = await self.submit()
        event = await self.worker.events.get()
        await self.until(id, "waiting")
        return id, event

    async def post(self, address: str, body: Any, media: str = "application/json") -> Answered:
        """A POST to an address of the hub."""
        assert address.startswith("http://hub.test/")
        parts = urlsplit(address)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [("Content-Type", media)]
        answer = await call(self.app, "POST", f"{parts.path}?{parts.query}", raw, headers)
        assert answer is not None
        return answer


@asynccontextmanager
async def site(folder: Path, binding: str = "") -> AsyncIterator[Site]:
    worker = LaterWorker()
    async with served(worker) as url:
        (folder / "processes").mkdir()
        (folder / "processes" / "slow.yaml").write_text(PROCESS)
        (folder / "modules").mkdir()
        (folder / "modules" / "declared.py").write_text(MODULE)
        (folder / "beltline.toml").write_text(
            f'[modules.later]\n{binding}\ntransport = "{url}/secret-path"\n'
        )
        home = open_home(folder)
        async with running_hub(home, durable=False, own_url="http://hub.test") as running:
            assert not await publish_files(home, running.processes)
            yield Site(running, worker)


async def test_a_run_waits_outside_of_memory_and_goes_on_with_its_answer(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        assert event["module"] == "later@1"
        view = await on.run(id)
        assert view.because.startswith("first (visit 1) waits for the answer to attempt 1, until")
        assert len(on.running.node.runs) == 0
        taken = await on.post(event["callback"], {"result": {"v": 7}})
        assert (taken.status, taken.json()["taken"]) == (200, "result")
        view = await on.until(id, "completed")
    assert view.document["second"] == {"seen": 7}
    told = [(line["event"], line.get("transport")) for line in view.journal]
    assert told[1:4] == [
        ("step-started", "http"),
        ("step-deferred", None),
        ("step-completed", None),
    ]


async def test_a_second_answer_is_told_that_it_is_one_and_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        await on.post(event["callback"], {"result": {"v": 7}})
        before = await on.until(id, "completed")
        again = await on.post(event["callback"], {"result": {"v": 8}})
        assert (again.status, again.json()["type"]) == (
            409,
            "urn:beltline:problem:answered-already",
        )
        assert await on.run(id) == before


async def test_an_address_is_good_for_its_attempt_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        address = event["callback"]
        for forged in (
            address.replace("attempt=1", "attempt=2"),
            address.replace("step=first", "step=second"),
            address.replace("expires=1", "expires=2"),
            address[:-1] + ("0" if address[-1] != "0" else "1"),
        ):
            assert (await on.post(forged, {"result": {"v": 7}})).status == 403
    assert (id, event["attempt"]) == (event["run"], 1)


async def test_what_is_no_answer_is_refused_and_the_right_one_still_counts(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        address = event["callback"]
        before = await on.run(id)
        large = b'"' + b"x" * PRODUCTION.module_answer_bytes + b'"'
        for body, media, status in (
            (b"{", "application/json", 422),
            ({"v": 7}, "application/json", 422),
            ({"result": {"v": 7}}, "text/html", 415),
            (large, "application/json", 413),
        ):
            assert (await on.post(address, body, media)).status == status
        assert await on.run(id) == before
        assert (await on.post(address, {"result": {"v": 7}})).status == 200
        await on.until(id, "completed")


async def test_retry_and_reject_may_come_later_too(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        retry = {"retry": {"reason": "busy", "after_s": 0}}
        taken = (await on.post(event["callback"], retry)).json()
        assert (taken["taken"], taken["reason"]) == ("failure", "busy")
        second = await on.worker.events.get()
        assert (second["attempt"], second["key"]) == (2, event["key"])
        assert (await on.post(event["callback"], {"result": {"v": 1}})).status == 409
        await on.until(id, "waiting")
        await on.post(second["callback"], {"reject": {"reason": "no such thing"}})
        view = await on.until(id, "stopped")
    assert "no such thing" in view.because


async def test_after_the_end_of_the_attempt_it_is_too_late(tmp_path: Path) -> None:
    async with site(tmp_path) as on:
        id, event = await on.deferred()
        callbacks = on.running.hub.callbacks
        passed = Ticket(id, "first", 1, 1, on.running.node.clock.now() - 1)
        address = f"http://hub.test/api/v1/events/answers?run={id}&step=first&visit=1&attempt=1"
        address += f"&expires={passed.expires}&signature={callbacks.sign(passed)}"
        late = await on.post(address, {"result": {"v": 7}})
        assert (late.status, late.json()["type"]) == (410, "urn:beltline:problem:too-late")
        await on.running.store.post(key_of(id) or b"", b'{"type":"cancel"}', 0)
        on.running.hub.wake_runs()
        await on.until(id, "cancelled")
        late = await on.post(event["callback"], {"result": {"v": 7}})
        assert late.status == 410
        assert "the run is cancelled" in late.json()["detail"]


async def test_an_answer_that_comes_before_the_202_is_not_lost(tmp_path: Path) -> None:
    async with site(tmp_path) as on:

        async def at_once(event: dict[str, Any]) -> None:
            assert (await on.post(event["callback"], {"result": {"v": 7}})).status == 200

        on.worker.at_once = at_once
        id = await on.submit()
        view = await on.until(id, "completed")
        await on.worker.events.get()
    assert view.document["second"] == {"seen": 7}


async def test_a_result_is_held_to_the_declaration_of_its_module(tmp_path: Path) -> None:
    async with site(tmp_path, 'use = "declared"') as on:
        id, event = await on.deferred()
        assert event["module"] == "declared@1"
        taken = (await on.post(event["callback"], {"result": {"v": "seven"}})).json()
        assert taken["taken"] == "failure"
        assert "what declared@1 declares" in taken["reason"]
        view = await on.until(id, "stopped")
    assert "what declared@1 declares" in view.because


async def test_the_modules_tell_how_they_are_carried_and_who_answered_last(tmp_path: Path) -> None:
    async with site(tmp_path, 'use = "declared"') as on:
        await on.deferred()
        listed = await call(on.app, "GET", "/api/v1/modules", b"", [await _token(on)])
        assert listed is not None
        told = listed.json()
    assert {one["name"]: one["carried"]["transport"] for one in told["modules"]}["set"] == "event"
    [bound] = told["bound"]
    assert (bound["name"], bound["module"]) == ("later", "declared@1")
    carried = bound["carried"]
    assert (carried["transport"], carried["worker"]) == ("http", "later 2.0")
    assert carried["origin"].startswith("http://127.0.0.1:")
    assert "secret-path" not in carried["origin"]
    assert carried["heard_at"]


async def _token(on: Site) -> tuple[str, str]:
    token, record = new_token("viewer", "test", on.running.node.clock.now())
    await on.running.store.put_token(record)
    return "Authorization", f"Bearer {token}"
