"""Calls by brokers: what becomes of them when a worker, the broker or the store goes away.

Beside the promises of every transport (`test_transports.py`), each carrier is held to these against
its real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from beltline.core.inputs import Answered, AttemptFailed, Deferred, Parked, decode_message
from beltline.core.limits import PRODUCTION
from beltline.engine.answer_event import answer_event_of
from beltline.engine.callbacks import Callbacks
from beltline.engine.contract import outcome_bytes
from beltline.engine.ports import Posted, StoreAway
from beltline.loop import AsyncioMailbox, SystemClock
from beltline.transports import queue
from tests.conformance.queue_kinds import QueueLine, Servers, started
from tests.conformance.transport_kinds import Gate, Stand, modules_of
from tests.servers.call_brokers import CARRIERS, BrokerServer

pytestmark = pytest.mark.parametrize("kind", CARRIERS)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory) as servers:
        yield servers


@pytest.fixture
def server(kind: str, brokers: Servers) -> BrokerServer:
    return brokers(kind)


class Hub(Stand):
    """A hub's side of a broker, which can be asked for workers."""

    def __init__(self, server: BrokerServer) -> None:
        super().__init__("queue", AsyncioMailbox(), Gate(), SystemClock())
        self.server = server
        self.line = QueueLine(server, self.mailbox, self.clock, PRODUCTION)
        self.transport = self.line.transport

    def worker(self, gate: Gate | None = None, concurrency: int = 5) -> Any:
        """One worker; handlers of `waits` wait at the gate."""
        modules = modules_of(gate or self.gate)
        return self.line.worker(modules, ("echo", "tell", "waits"), concurrency)

    async def next(self) -> Any:
        """What is told next, whatever it is."""
        [posted] = await self.mailbox.take(1)
        return posted.input


@asynccontextmanager
async def hub(server: BrokerServer) -> AsyncIterator[Hub]:
    made = Hub(server)
    async with made.line.running():
        try:
            yield made
        finally:
            made.gate.open()


async def test_a_call_waits_at_the_broker_until_a_worker_comes(server: BrokerServer) -> None:
    async with hub(server) as on:
        on.transport.dispatch([on.call("echo", {"number": 7})])
        assert await on.next() == Deferred("echo", 1, 1)
        await on.transport.idle()
        server.daemon.restart()  # it keeps what it has confirmed
        async with on.worker().running():
            assert (await on.next()).result == {"number": 7, "text": ""}


async def test_what_a_stopping_worker_cannot_finish_goes_to_the_next_as_it_was(
    server: BrokerServer,
) -> None:
    async with hub(server) as on:
        first, second = on.worker(), on.worker(Gate())
        on.transport.dispatch([on.call("waits", {"number": 3}, attempt=2)])
        async with first.running():
            await on.gate.have_entered(1)
            await first.stop(0.0)
        other = Gate()
        other.open()
        second = on.worker(other)
        async with second.running():
            [answer] = await on.take(1)
        assert other.entered == 1
    assert answer == Answered("waits", 1, 2, {"number": 3, "text": ""}, 22)


async def test_a_stopping_worker_finishes_what_it_can(server: BrokerServer) -> None:
    async with hub(server) as on:
        worker = on.worker()
        async with worker.running():
            on.transport.dispatch([on.call("waits", {"number": 3})])
            await on.gate.have_entered(1)
            stopping = asyncio.create_task(worker.stop(60.0))
            on.gate.open()
            [answer] = await on.take(1)
            await stopping
        assert (answer.result["number"], worker.under_way()) == (3, 0)


async def test_a_broker_that_is_away_parks_and_is_reached_again(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SEND_S", 1.0)
    monkeypatch.setattr(queue, "AWAY_FIRST_MS", 1)
    monkeypatch.setattr(queue, "AWAY_MOST_MS", 1)
    async with hub(server) as on, on.worker().running():
        [before] = await on.answers(on.call("echo", {"number": 1}))
        server.daemon.stop()
        on.transport.dispatch([on.call("echo", {"number": n}, visit=n) for n in range(2, 30)])
        parked = [await on.next() for _ in range(28)]
        assert all(isinstance(one, Parked) for one in parked), parked
        assert all("waits until broker can be reached again" in one.reason for one in parked)
        on.transport.dispatch([on.call("echo", visit=40)])
        known = await on.next()  # it is not even tried: nothing was sent
        assert isinstance(known, Parked)
        assert not known.was_called
        server.daemon.start()
        again = [on.call("echo", {"number": n}, visit=n, attempt=2) for n in range(2, 30)]
        answers = {before.visit: before.result["number"]}
        while len(answers) < 29:
            on.transport.dispatch(again)
            await on.transport.idle()
            again = []
            while not again and len(answers) < 29:
                for posted in await on.mailbox.take(100):
                    one: Any = posted.input
                    if isinstance(one, Parked):  # it is not quite up yet
                        number = {"number": one.visit}
                        again.append(on.call("echo", number, visit=one.visit, attempt=2))
                    elif isinstance(one, Answered):
                        answers[one.visit] = one.result["number"]
        assert answers == {n: n for n in range(1, 30)}
        assert on.line.reports == ["broker cannot be reached", "broker is reached again"]


async def test_a_worker_goes_on_by_itself_when_the_broker_is_back(server: BrokerServer) -> None:
    async with hub(server) as on, on.worker().running():
        on.transport.dispatch([on.call("waits", {"number": 9})])
        await on.gate.have_entered(1)
        server.daemon.restart()
        on.gate.open()
        [answer] = await on.take(1)
    assert answer.result["number"] == 9
    assert on.gate.entered == 1


async def test_an_answer_is_acknowledged_when_it_is_durable_and_not_before(
    server: BrokerServer,
) -> None:
    on = Hub(server)
    kept = on.line.inbox
    entered = asyncio.Event()

    class Stuck:
        """A store that does not return."""

        async def post(self, key: bytes, body: bytes, at: int) -> int:
            entered.set()
            await asyncio.Event().wait()
            return 0

    on.line.inbox = Stuck()
    async with on.worker().running():
        async with on.line.running_results():
            on.transport.dispatch([on.call("echo", {"number": 5})])
            await entered.wait()
        on.line.inbox = kept
        async with on.line.running():
            [answer] = await on.take(1)
    assert answer.result["number"] == 5


async def test_a_store_that_is_away_is_asked_again(server: BrokerServer) -> None:
    on = Hub(server)
    kept, asked = on.line.inbox, 0

    class Away:
        """A store that is away at first."""

        async def post(self, key: bytes, body: bytes, at: int) -> int:
            nonlocal asked
            asked += 1
            if asked < 3:
                raise StoreAway("gone")
            number: int = await kept.post(key, body, at)
            return number

    on.line.inbox = Away()
    async with on.line.running(), on.worker().running():
        [answer] = await on.answers(on.call("echo", {"number": 6}))
    assert (answer.result["number"], asked) == (6, 3)


async def test_only_answers_with_a_ticket_of_this_hub_are_taken(server: BrokerServer) -> None:
    async with hub(server) as on:
        call = on.call("echo", attempt=4)
        own, other = on.line.callbacks.queue_ticket(call, "echo"), Callbacks(b"other")
        post = await on.line.broker.open()
        await post.prepare(on.line.results)
        told = outcome_bytes({"number": 8})
        forged = own[:10] + ("0" if own[10] != "0" else "1") + own[11:]
        moved = own[:64] + other.queue_ticket(on.call("echo", attempt=5), "echo")[64:]
        bodies = [b"", b"{}", b"[" * 900, answer_event_of("x", "", told, "w 1")]
        tickets = (other.queue_ticket(call, "echo"), forged, moved, "x", "ж" * 80, own)
        bodies += [answer_event_of("x", ticket, told, "w 1") for ticket in tickets]
        for number, body in enumerate(bodies):
            await post.send(on.line.results, body, id=str(number))
        [answer] = await on.take(1)
        assert answer == Answered("echo", 1, 4, {"number": 8, "text": ""}, 22)
        await post.send(on.line.results, bodies[-1], id="again")
        [again] = await on.take(1)  # the run tells by its attempt that it has this one
        assert again == answer
        await post.close()
        heard = on.line.workers.last("echo")
        assert heard is not None
        assert heard.version == "w 1"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"problem": {"kind": "exception", "detail": "x"}}, ("exception", "x", False)),
        ({"problem": {"kind": "input", "detail": "wrong"}}, ("input", "wrong", True)),
        ({"problem": {"kind": "unheard"}}, ("result", "one key of", True)),
        ({"result": {"number": "no"}}, ("result", "echo@1 declares", True)),
        ({"retry": {"reason": "busy"}}, ("retry", "busy", False)),
        ({"reject": {"reason": "never"}}, ("reject", "never", True)),
        (7, ("result", "one key of", True)),
    ],
)
async def test_what_workers_in_other_languages_may_say(
    server: BrokerServer, answer: Any, failure: tuple[str, str, bool]
) -> None:
    async with hub(server) as on:
        ticket = on.line.callbacks.queue_ticket(on.call("echo"), "echo")
        event = {
            "specversion": "1.0", "type": "beltline.step-answered", "id": "1", "source": "/w",
            "datacontenttype": "application/json", "data": {"ticket": ticket, "answer": answer},
        }  # fmt: skip
        post = await on.line.broker.open()
        await post.prepare(on.line.results)
        await post.send(on.line.results, msgspec.json.encode(event), id="1")
        [failed] = await on.take(1)
        await post.close()
    assert isinstance(failed, AttemptFailed)
    kind, text, final = failure
    assert (failed.error.kind, failed.final) == (kind, final)
    assert text in failed.error.message


async def test_nodes_share_the_answers(server: BrokerServer) -> None:
    async with hub(server) as on, on.worker().running():
        seen: list[Any] = []

        class Counting:
            """The inbox of the second node, which is that of the first."""

            async def post(self, key: bytes, body: bytes, at: int) -> int:
                seen.append(decode_message(body))
                on.mailbox.post([Posted(key, decode_message(body))])
                return 1

        on.line.inbox = Counting()
        async with on.line.running_results():
            first = 1
            async with asyncio.timeout(60):
                while not seen:  # the second begins when its broker lets it, and has its part then
                    numbers = range(first, first + 300)
                    calls = [on.call("echo", {"number": n}, visit=n) for n in numbers]
                    answers = await on.answers(*calls)
                    assert [one.visit for one in answers] == list(numbers)
                    first = numbers.stop
            assert not on.rest()


async def test_calls_of_a_worker_are_bounded_for_each_module(server: BrokerServer) -> None:
    async with hub(server) as on, on.worker(concurrency=2).running():
        on.transport.dispatch([on.call("waits", visit=n) for n in range(1, 8)])
        await on.gate.have_entered(2)
        [quick] = await on.answers(on.call("echo", visit=99))
        on.gate.open()
        assert len(await on.take(7)) == 7
    assert (quick.visit, on.gate.most) == (99, 2)
