"""Clients that are kept over calls: opened once, shared, given up when they break, closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from beltline.sdk import Client, ClientFailed, Connection
from beltline.transports.kept_clients import OWN_MOST, KeptClients

HERE = Connection(name="here", kind="broker", address="broker://one")


class Line:
    """What a client of these tests is."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_open = True
        self.is_closed = False


class Far:
    """The other side: counts the lines that are opened, and opens them when it is let."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.open_now = asyncio.Event()
        self.open_now.set()
        self.refuses = False

    async def open(self, connection: Connection) -> Line:
        line = Line(len(self.lines))
        self.lines.append(line)
        await self.open_now.wait()
        if self.refuses:
            raise ClientFailed("not today")
        return line

    async def close(self, line: Line) -> None:
        line.is_closed = True

    def client(self, **more: Any) -> Client[Line]:
        return Client(
            name="line", open=self.open, close=self.close, is_open=lambda line: line.is_open, **more
        )


@pytest.fixture
async def clients() -> AsyncIterator[KeptClients]:
    clients = KeptClients()
    yield clients
    await clients.close()


async def turns(count: int = 5) -> None:
    """Lets what is ready go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def used(clients: KeptClients, client: Client[Line], connection: Connection = HERE) -> Line:
    """The client that one call is given."""
    async with clients.use(client, connection) as line:
        return line


class Holding:
    """A call that has a client until it is let go."""

    def __init__(self, clients: KeptClients, client: Client[Line]) -> None:
        self.let_go = asyncio.Event()
        self.line: Line | None = None
        self.task = asyncio.create_task(self._hold(clients, client))

    async def _hold(self, clients: KeptClients, client: Client[Line]) -> None:
        async with clients.use(client, HERE) as self.line:
            await self.let_go.wait()


async def test_calls_one_after_another_and_at_a_time_share_one_client(clients: KeptClients) -> None:
    far = Far()
    client = far.client()
    first = await used(clients, client)
    together = await asyncio.gather(*(used(clients, client) for _ in range(50)))
    assert {first, *together} == set(far.lines)
    assert len(far.lines) == 1
    assert not first.is_closed


async def test_who_comes_while_it_is_opened_waits_for_the_same_opening(
    clients: KeptClients,
) -> None:
    far = Far()
    far.open_now.clear()
    calls = [asyncio.create_task(used(clients, far.client())) for _ in range(3)]
    await turns()
    calls[0].cancel()  # out of time; the others and the opening go on
    await turns()
    far.open_now.set()
    assert await calls[1] is await calls[2] is far.lines[0]
    assert len(far.lines) == 1


async def test_an_opening_that_fails_is_told_to_all_and_tried_again(clients: KeptClients) -> None:
    far = Far()
    far.refuses = True
    client = far.client()
    told = await asyncio.gather(*(used(clients, client) for _ in range(2)), return_exceptions=True)
    assert [str(one) for one in told] == ["not today", "not today"]
    far.refuses = False
    assert await used(clients, client) is far.lines[1]


async def test_a_client_that_is_not_open_any_more_is_replaced_and_closed(
    clients: KeptClients,
) -> None:
    far = Far()
    client = far.client()
    first = await used(clients, client)
    first.is_open = False
    assert await used(clients, client) is far.lines[1]
    await turns()
    assert first.is_closed


async def test_an_error_ends_the_client_and_an_answer_does_not(clients: KeptClients) -> None:
    far = Far()
    client = far.client()

    async def failing(error: Exception) -> None:
        async with clients.use(client, HERE):
            raise error

    with pytest.raises(ClientFailed):
        await failing(ClientFailed("there is no such queue"))
    assert await used(clients, client) is far.lines[0]
    with pytest.raises(OSError, match="broken"):
        await failing(OSError("broken"))
    await turns()
    assert far.lines[0].is_closed
    assert await used(clients, client) is far.lines[1]


async def test_others_keep_a_client_that_is_given_up_until_they_leave(
    clients: KeptClients,
) -> None:
    far = Far()
    client = far.client()
    holding = Holding(clients, client)
    await turns()
    with pytest.raises(OSError, match="broken"):
        async with clients.use(client, HERE):
            raise OSError("broken")
    await turns()
    assert not far.lines[0].is_closed
    assert await used(clients, client) is far.lines[1]
    holding.let_go.set()
    await holding.task
    await turns()
    assert far.lines[0].is_closed


async def test_another_secret_means_another_client(clients: KeptClients) -> None:
    far = Far()
    client = far.client()
    await used(clients, client)
    other = Connection(name="here", kind="broker", address="broker://two")
    assert await used(clients, client, other) is far.lines[1]
    await turns()
    assert far.lines[0].is_closed


async def test_one_that_is_not_shared_serves_one_call_and_then_the_next(
    clients: KeptClients,
) -> None:
    far = Far()
    client = far.client(is_shared=False)
    holding = [Holding(clients, client) for _ in range(OWN_MOST + 1)]
    await turns(10)
    assert len({one.line for one in holding} - {None}) == OWN_MOST
    assert holding[-1].line is None
    holding[0].let_go.set()
    await turns(10)
    assert holding[-1].line is holding[0].line
    for one in holding:
        one.let_go.set()
    await asyncio.gather(*(one.task for one in holding))
    assert len(far.lines) == OWN_MOST


async def test_one_that_nobody_uses_is_closed(
    clients: KeptClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[tuple[float, Callable[[], Any]]] = []

    class Handle:
        def cancel(self) -> None:
            timers.clear()

    def call_later(delay: float, call: Any, *arguments: Any) -> Handle:
        timers.append((delay, lambda: call(*arguments)))
        return Handle()

    far = Far()
    client = far.client(idle_s=45.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    await used(clients, client)
    assert [delay for delay, _ in timers] == [45.0]
    await used(clients, client)
    [(_, expire)] = timers
    expire()
    await turns()
    assert far.lines[0].is_closed
    assert await used(clients, client) is far.lines[1]


async def test_the_end_closes_all(clients: KeptClients) -> None:
    far = Far()
    await used(clients, far.client())
    await used(clients, far.client(), Connection(name="there", kind="broker"))
    far.open_now.clear()
    waiting = asyncio.create_task(used(clients, far.client(), Connection(name="x", kind="broker")))
    await turns()
    waiting.cancel()  # the calls end before the clients; an opening ends with them
    await asyncio.gather(waiting, return_exceptions=True)
    await clients.close()
    assert [line.is_closed for line in far.lines] == [True, True, False]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
