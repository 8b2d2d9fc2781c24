"""A worker as an app: who is let in, what is refused, what it says of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from beltline.catalog.catalog import Catalog
from beltline.connections import Connections
from beltline.core.limits import PRODUCTION
from beltline.engine.ports import Clock
from beltline.logs import Redaction
from beltline.loop import SystemClock
from beltline.worker.http import Worker
from tests.conformance.transport_kinds import Gate, modules_of
from tests.unit.api.calling import Answered, call
from tests.unit.api.stage import ManualClock

EVENT = "application/cloudevents+json"


def event(module: str = "echo@1", deadline_s: int = 30, **more: Any) -> bytes:
    """The event of a call."""
    data = {
        "module": module, "run": "r", "step": "s", "visit": 1, "attempt": 1, "key": "k",
        "deadline": f"2026-11-25T12:00:{deadline_s:02}Z", "input": {"number": 7},
    }  # fmt: skip
    made = {
        "specversion": "1.0", "type": "beltline.step-started", "id": "s/1/1", "source": "/r",
        "subject": "s", "time": "2026-11-25T12:00:00Z", "datacontenttype": "application/json",
        "data": {**data, **more},
    }  # fmt: skip
    return json.dumps(made).encode()


@asynccontextmanager
async def worker(
    gate: Gate | None = None, clock: Clock | None = None, **more: Any
) -> AsyncIterator[Worker]:
    made = Worker(
        Catalog(modules_of(gate or Gate())),
        Connections({}, Redaction(), Path()),
        clock or SystemClock(),
        PRODUCTION,
        name="tests 1",
        **{"concurrency": 2, **more},
    )
    async with made.running():
        yield made


async def sent(on: Worker, body: bytes, *headers: tuple[str, str], media: str = EVENT) -> Answered:
    answer = await call(on, "POST", "/", body, [("Content-Type", media), *headers])
    assert answer is not None
    assert answer.headers["beltline-worker"] == "tests 1"
    return answer


async def test_an_event_is_answered() -> None:
    async with worker() as on:
        answer = await sent(on, event())
    assert (answer.status, answer.json()) == (200, {"result": {"number": 7, "text": ""}})


@pytest.mark.parametrize(
    ("body", "media", "status", "says"),
    [
        (event(), "application/json", 415, "application/cloudevents+json"),
        (b"{", EVENT, 400, "no event of a call"),
        (event().replace(b'"1.0"', b'"0.3"'), EVENT, 400, "specversion"),
        (event(deadline="soon"), EVENT, 400, "soon"),
        (event(deadline_s=0), EVENT, 503, "before the deadline"),
        (event("gone@1"), EVENT, 404, "gone@1"),
        (event(input={"number": "x"}), EVENT, 422, "number"),
        (event(connection={"name": "crm", "kind": "x"}), EVENT, 500, "no connection 'crm'"),
        (b" " * (PRODUCTION.module_event_bytes + 1), EVENT, 413, "module_event_bytes"),
    ],
)
async def test_what_is_wrong_is_told(body: bytes, media: str, status: int, says: str) -> None:
    async with worker() as on:
        answer = await sent(on, body, media=media)
    assert answer.status == status
    assert says in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_worker_with_a_secret_serves_who_shows_it() -> None:
    async with worker(secret="s3cret") as on:
        assert (await sent(on, event())).status == 401
        assert (await sent(on, event(), ("Authorization", "Bearer s3cre"))).status == 401
        assert (await sent(on, event(), ("Authorization", "Bearer s3cret"))).status == 200


async def test_calls_beyond_its_concurrency_wait() -> None:
    gate = Gate()
    async with worker(gate) as on:
        calls = [asyncio.create_task(sent(on, event("waits@1"))) for _ in range(4)]
        await gate.have_entered(2)
        health = await call(on, "GET", "/healthz")
        assert health is not None
        assert (health.json()["under_way"], gate.entered) == (4, 2)
        gate.open()
        assert [answer.status for answer in await asyncio.gather(*calls)] == [200] * 4
    assert gate.most == 2


async def test_a_call_that_waited_for_a_place_has_less_time_left() -> None:
    gate, clock = Gate(), ManualClock()
    due = clock.now() + 30_000
    async with worker(gate, clock, concurrency=1) as on:
        first = asyncio.create_task(sent(on, event("waits@1")))
        await gate.have_entered(1)
        second = asyncio.create_task(sent(on, event("tell@1")))
        while on._under_way < 2:  # noqa: ASYNC110 - it is on its way in this loop
            await asyncio.sleep(0)
        clock.time += 20_000
        gate.open()
        await first
        assert (await second).json()["result"]["deadline_ms"] == due


async def test_a_stopping_worker_hands_back() -> None:
    gate = Gate()
    async with worker(gate) as on:
        waiting = asyncio.create_task(sent(on, event("waits@1")))
        await gate.have_entered(1)
        on.stop(0.0)
        for answer in (await waiting, await sent(on, event())):
            assert (answer.status, answer.headers["retry-after"]) == (503, "0")
        health = await call(on, "GET", "/healthz")
        assert health is not None
        assert (health.status, health.json()["status"]) == (503, "stopping")
        gate.open()


async def test_memory_is_refused_with_what_to_do() -> None:
    async with worker() as on:
        memory = on._calls.surroundings.memory
        for asked in (memory.get("a", "b"), memory.put("a", "b", 1), memory.delete("a", "b")):
            with pytest.raises(RuntimeError, match="write `remember` and `recall` as steps"):
                await asked
