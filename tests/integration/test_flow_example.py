"""The example home of the steps that the engine runs: each of its processes, in a whole hub."""

from __future__ import annotations

import gc
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from beltline.api.app import create_app
from beltline.api.tokens import new_token
from beltline.cli.event import app
from beltline.composition import running_hub
from beltline.engine.ids import key_of
from beltline.publishing import publish_files
from beltline.settings import open_home
from tests.integration.feeding import until
from tests.unit.api.calling import Answered, call

EXAMPLE = Path(__file__).parents[2] / "examples" / "flow"
JSON = ("Content-Type", "application/json")
WAIT = ("Prefer", "wait=20")


class Example(msgspec.Struct):
    """The home's hub, and how a test talks to it."""

    hub: Any
    app: Any
    token: str

    async def send(self, source: str, body: Any, *headers: tuple[str, str]) -> Answered:
        """Sends a request."""
        raw = msgspec.json.encode(body)
        answer = await call(self.app, "POST", f"/in/{source}", raw, [JSON, *headers])
        assert answer is not None
        return answer

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the API; gives what it answered."""
        raw = b"" if body is None else msgspec.json.encode(body)
        headers = [("Authorization", f"Bearer {self.token}"), JSON]
        answer = await call(self.app, method, f"/api/v1/{path}", raw, headers)
        assert answer is not None
        assert answer.status < 300, answer.body
        return answer.json()

    async def at_rest(self, id: str, *statuses: str) -> dict[str, Any]:
        """The run, once its row says one of these."""
        key = key_of(id)

        async def rests() -> bool:
            record, _ = await self.hub.store.run(key)
            return record.status in (statuses or ("completed",))

        await until(rests)
        run: dict[str, Any] = await self.ask("GET", f"runs/{id}")
        return run

    async def waiting(self, id: str) -> dict[str, Any]:
        """The run, once it waits."""
        return await self.at_rest(id, "waiting")


@asynccontextmanager
async def example(folder: Path) -> AsyncIterator[Example]:
    """The example's hub, on a copy of the home."""
    shutil.copytree(EXAMPLE, folder / "home")
    home = open_home(folder / "home")
    async with running_hub(home, durable=False) as running:
        assert [str(finding) for finding in await publish_files(home, running.processes)] == []
        token, record = new_token("operator", "Olga", running.hub.clock.now())
        await running.store.put_token(record)
        yield Example(running, create_app(running.hub), token)
    gc.collect()  # compiled expressions are to be let go of by the thread that made them


@pytest.mark.parametrize(
    ("item", "status", "answer"),
    [
        ("chair", 200, {"item": "chair", "price": 3200}),
        ("sofa", 404, {"error": "There is no sofa in the list."}),
    ],
)
async def test_a_price_is_told_to_the_sender_that_waits(
    tmp_path: Path, item: str, status: int, answer: dict[str, Any]
) -> None:
    async with example(tmp_path) as hub:
        told = await hub.send("price-question", {"item": item}, WAIT)
        assert (told.status, told.json()) == (status, answer)
        listed = (await hub.ask("GET", "runs"))["runs"][0]
        run = await hub.at_rest(listed["id"])
        assert run["result"] == ({"price": 3200} if status == 200 else {})
        assert run["path"][-1] == ("noted" if status == 200 else "enough")


@pytest.mark.parametrize("is_paid", [True, False])
async def test_an_order_waits_for_its_payment_or_is_cancelled(
    tmp_path: Path, is_paid: bool
) -> None:
    async with example(tmp_path) as hub:
        within = "2d" if is_paid else "10ms"
        sent = await hub.send("order", {"order": "A-7", "within": within})
        id = sent.json()["run"]
        if is_paid:
            assert "'payment-received' with the key 'A-7'" in (await hub.waiting(id))["because"]
            event = {"name": "payment-received", "key": "A-7", "data": {"sum": 3200}}
            assert (await hub.ask("POST", "events", event))["runs"] == 1
        run = await hub.at_rest(id)
        assert run["result"] == ({"paid": 3200} if is_paid else {})
        assert run["path"] == (["paid", "shipped"] if is_paid else ["paid", "given-up"])


@pytest.mark.parametrize(("decision", "percent"), [("approve", 15), ("reject", 0)])
async def test_a_discount_is_for_somebody_to_allow(
    tmp_path: Path, decision: str, percent: int
) -> None:
    async with example(tmp_path) as hub:
        asked = {"client": "Anna", "percent": 20, "reason": "A good client."}
        id = (await hub.send("discount", asked)).json()["run"]
        await hub.waiting(id)
        (shown,) = (await hub.ask("GET", "approvals"))["approvals"]
        assert shown["title"] == "A discount of 20 % for Anna"
        said = {"step": "boss", "comment": "not that much", "given": {"percent": 15}}
        await hub.ask("POST", f"runs/{id}/{decision}", said)
        run = await hub.at_rest(id)
        assert run["result"]["percent"] == percent
        assert run["document"]["boss"]["by"] == "Olga"


async def test_a_shipment_is_priced_by_another_process(tmp_path: Path) -> None:
    async with example(tmp_path) as hub:
        id = (await hub.send("shipment", {"to": "Anna", "weight": 10})).json()["run"]
        run = await hub.at_rest(id)
        assert run["result"]["sum"] == 120
        letter = await hub.at_rest(run["result"]["letter"])
        assert letter["process"] == "reminder"
        assert letter["document"]["request"] == {"text": "Anna pays 120"}


async def test_each_parcel_is_priced_by_a_run_of_its_own(tmp_path: Path) -> None:
    async with example(tmp_path) as hub:
        parcels = [{"weight": weight} for weight in (10, 40, 1, 2, 3, 4, 5)]
        id = (await hub.send("parcels", {"parcels": parcels})).json()["run"]
        run = await hub.at_rest(id)
        assert run["result"] == {"each": [120, 360, 12, 24, 36, 48, 60], "sum": 660}


async def test_a_trip_that_is_cancelled_is_undone_from_its_last_booking(tmp_path: Path) -> None:
    async with example(tmp_path) as hub:
        id = (await hub.send("trip", {"order": "A-7"})).json()["run"]
        await hub.waiting(id)
        await hub.ask("POST", f"runs/{id}/cancel", {"reason": "ill", "undo": True})
        run = await hub.at_rest(id, "cancelled")
        assert run["path"] == ["car", "hotel", "leave-hotel", "give-car-back"]
        assert run["document"]["leave-hotel"]["message"] == "hotel-A-7 is cancelled"


async def test_the_link_of_a_home_is_signed_with_a_key_of_its_own(tmp_path: Path) -> None:
    async with example(tmp_path) as hub:
        id = (await hub.send("discount", {"client": "Anna", "percent": 20})).json()["run"]
        await hub.waiting(id)
        (shown,) = (await hub.ask("GET", "approvals"))["approvals"]
        page = await call(hub.app, "GET", shown["link"], b"", [])
        assert page is not None
        assert b"A discount of 20 % for Anna" in page.body
        sent = await call(hub.app, "POST", shown["link"], b"decision=approve", [])
        assert sent is not None
        assert (await hub.at_rest(id))["result"] == {"percent": 20}
    key = tmp_path / "home" / "data" / "key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_events_are_sent_and_waits_are_seen_from_the_command_line(tmp_path: Path) -> None:
    home = ["--home", str(tmp_path), "--store", f"sqlite:///{tmp_path / 'hub.db'}"]
    (tmp_path / "beltline.toml").write_text("")
    (tmp_path / "sum.json").write_text('{"sum": 5}')
    data = ["--key", "A-7", "--data", str(tmp_path / "sum.json"), "--id", "e1"]
    sent = CliRunner().invoke(app, ["send", "payment-received", *data, *home])
    assert (sent.exit_code, sent.output) == (0, "no run waits for it; it is kept for 1h\n")
    again = CliRunner().invoke(app, ["send", "payment-received", *data, *home, "--json"])
    assert msgspec.json.decode(again.output) == {"id": "e1", "runs": 0, "repeat": True}
    waits = CliRunner().invoke(app, ["waiting", *home, "--json"])
    assert (waits.exit_code, msgspec.json.decode(waits.output)) == (0, [])
