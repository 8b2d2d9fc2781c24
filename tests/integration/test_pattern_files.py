"""The files of the control-flow patterns in a whole hub: what their plays leave to the store."""

from __future__ import annotations

import gc
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from beltline.api.app import create_app
from beltline.api.tokens import new_token
from beltline.composition import running_hub
from beltline.engine.ids import key_of
from beltline.publishing import publish_files
from beltline.settings import open_home
from tests.integration.feeding import until
from tests.unit.api.calling import call

FOLDER = Path(__file__).parents[2] / "examples" / "patterns"
STARTED = (
    "15-instances-not-known-before",
    "16-deferred-choice",
    "22-recursion",
    "23-transient-trigger",
    "24-persistent-trigger",
)


class Patterns(msgspec.Struct):
    """A hub whose home has all of the files as its processes."""

    hub: Any
    app: Any
    token: str

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the hub; gives what it answered."""
        raw = b"" if body is None else msgspec.json.encode(body)
        headers = [("Authorization", f"Bearer {self.token}"), ("Content-Type", "application/json")]
        answer = await call(self.app, method, path, raw, headers)
        assert answer is not None
        assert answer.status in (200, 202), answer.body
        return answer.json()

    async def start(self, process: str, request: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """The run of a request once it comes to one of `statuses`."""
        id = (await self.ask("POST", f"/in/{process}", request))["run"]
        return await self.run(id, *statuses)

    async def run(self, id: str, *statuses: str) -> dict[str, Any]:
        """A run, once it comes to one of `statuses`."""

        async def rests() -> bool:
            record, _ = await self.hub.store.run(key_of(id))
            return record.status in statuses

        await until(rests)
        found: dict[str, Any] = await self.ask("GET", f"/api/v1/runs/{id}")
        return found

    async def event(self, name: str, **more: Any) -> int:
        """Brings an event; gives how many runs it went to."""
        told = await self.ask("POST", "/api/v1/events", {"name": name, "key": "A-7", **more})
        runs: int = told["runs"]
        return runs


@asynccontextmanager
async def patterns(folder: Path) -> AsyncIterator[Patterns]:
    """The hub, whose sources start the processes that the tests ask for."""
    shutil.copytree(FOLDER, folder / "processes")
    (folder / "sources").mkdir()
    for name in STARTED:
        text = f"source: {name}\nkind: webhook\nprocess: {name}\nverify: none\n"
        (folder / "sources" / f"{name}.yaml").write_text(text)
    (folder / "beltline.toml").write_text("")
    home = open_home(folder)
    async with running_hub(home, durable=False) as running:
        findings = await publish_files(home, running.processes)
        assert [str(one) for one in findings if one.severity == "error"] == []
        token, record = new_token("operator", "Olga", running.hub.clock.now())
        await running.store.put_token(record)
        yield Patterns(running, create_app(running.hub), token)
    gc.collect()  # compiled expressions are to be let go of by the thread that made them


async def test_a_persistent_trigger_is_kept_for_the_run_that_comes_later(tmp_path: Path) -> None:
    async with patterns(tmp_path) as hub:
        assert await hub.event("paid") == 0
        run = await hub.start("24-persistent-trigger", {"order": "A-7"}, "completed")
        assert run["path"] == ["packed", "paid", "sent"]


async def test_a_transient_trigger_is_lost_unless_the_run_waits_for_it(tmp_path: Path) -> None:
    async with patterns(tmp_path) as hub:
        assert await hub.event("bell", keep="0s") == 0
        run = await hub.start("23-transient-trigger", {"order": "A-7"}, "waiting")
        assert "'bell' with the key 'A-7'" in run["because"]
        assert await hub.event("bell", keep="0s") == 1
        run = await hub.run(run["id"], "completed")
        assert run["path"] == ["walked", "rung", "handed-over"]


async def test_a_process_calls_itself(tmp_path: Path) -> None:
    async with patterns(tmp_path) as hub:
        run = await hub.start("22-recursion", {"boxes": 3}, "completed")
        assert run["result"] == {"opened": 3}


async def test_events_in_quick_succession_begin_an_instance_each(tmp_path: Path) -> None:
    async with patterns(tmp_path) as hub:
        run = await hub.start("15-instances-not-known-before", {"order": "A-7"}, "waiting")
        for name in ("lamp", "desk", "bed"):
            await hub.event("parcel-came", data={"name": name})

        async def are_weighed() -> bool:
            told = await hub.ask("GET", f"/api/v1/runs/{run['id']}")
            return sorted(told["path"]) == ["parcel"] * 3 + ["weighed"] * 3

        await until(are_weighed)


async def test_of_a_deferred_choice_the_other_event_is_awaited_no_more(tmp_path: Path) -> None:
    async with patterns(tmp_path) as hub:
        run = await hub.start("16-deferred-choice", {"order": "A-7"}, "waiting")
        assert await hub.event("withdrawn") == 1
        run = await hub.run(run["id"], "completed")
        assert run["path"] == ["offered", "put-back"]
        assert await hub.event("paid") == 0
