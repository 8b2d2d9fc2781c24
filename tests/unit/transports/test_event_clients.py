"""Handlers in a lane share a client, and the end of the transport closes it in its own loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import PRODUCTION
from beltline.sdk import Client, Connection, Context
from tests.unit.transports.test_event import NumberConfig, Stage

HERE = Connection(name="here", kind="broker")


class Far:
    """The other side: the loops in which clients were opened and closed."""

    def __init__(self) -> None:
        self.opened: list[asyncio.AbstractEventLoop] = []
        self.closed: list[asyncio.AbstractEventLoop] = []

    async def open(self, connection: Connection) -> str:
        self.opened.append(asyncio.get_running_loop())
        return connection.name

    async def close(self, client: str) -> None:
        self.closed.append(asyncio.get_running_loop())

    @property
    def client(self) -> Client[str]:
        return Client(name="c", open=self.open, close=self.close, is_open=lambda client: True)


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
async def stage(far: Far, monkeypatch: pytest.MonkeyPatch) -> Stage:
    async def uses(config: NumberConfig, context: Context) -> dict[str, Any]:
        async with context.client(far.client) as client:
            return {"client": client}

    def plain(config: NumberConfig, context: Context) -> dict[str, Any]:
        context.client(far.client)
        return {}

    monkeypatch.setattr(Stage, "_connection", lambda self, name: HERE)
    return Stage({"uses": uses, "plain": plain}, PRODUCTION)


async def test_calls_of_a_lane_share_a_client_that_ends_with_it(stage: Stage, far: Far) -> None:
    try:
        for _ in range(3):
            found = await stage.answers(stage.call("uses", connection="here"))
            assert isinstance(found["uses"], Answered)
            assert found["uses"].result == {"client": "here"}
    finally:
        await stage.transport.close()
    assert len(far.opened) == 1
    assert far.closed == far.opened
    assert far.opened[0] is not asyncio.get_running_loop()


async def test_a_module_that_blocked_has_clients_for_one_call(stage: Stage, far: Far) -> None:
    stage.transport._blocking.add("uses@1")
    try:
        for _ in range(2):
            await stage.answers(stage.call("uses", connection="here"))
    finally:
        await stage.transport.close()
    assert len(far.opened) == 2
    assert far.closed == far.opened


async def test_clients_are_for_async_handlers_of_steps_with_a_connection(
    stage: Stage, far: Far
) -> None:
    try:
        plain = (await stage.answers(stage.call("plain", connection="here")))["plain"]
        without = (await stage.answers(stage.call("uses")))["uses"]
    finally:
        await stage.transport.close()
    assert isinstance(plain, AttemptFailed)
    assert "make the handler async" in plain.error.message
    assert isinstance(without, AttemptFailed)
    assert "the step needs `connection:`" in without.error.message
    assert far.opened == []
