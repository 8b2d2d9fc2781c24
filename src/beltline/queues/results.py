"""Answers that come by a broker: each goes to its run's inbox, and only then is it acknowledged.

    broker ──> ticket read: this hub's? ──> inbox (commit) ──> acknowledged
                      └── no, or no answer ──> told in the log, acknowledged

So an answer is lost at no moment. All nodes that share a store ask the same consumer; whichever
gets it, the run's own node finds it in the inbox. A second answer, or one that is late, is fenced
by its attempt when the run decides on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from beltline.catalog.answers import answer_told, failed
from beltline.catalog.invocation import Invocation
from beltline.core.inputs import Answer, encode_message
from beltline.core.limits import Limits
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.engine.answer_event import problem_of, read_answer_event
from beltline.engine.callbacks import Callbacks, QueueTicket
from beltline.engine.contract import FINAL_KINDS, NotAnAnswer
from beltline.engine.ids import key_of
from beltline.engine.ports import Clock, Dispatched, NotFound, StoreAway, StoreFull
from beltline.engine.workers import Workers
from beltline.sources.queue.broker import Broker, Delivery

AGAIN_S = 1.0
STORE_AGAIN_S = 0.5
VERSION_LENGTH = 200  # of what a worker calls itself

_NO_INPUT, _ = compile_value({}, frozenset(), ())
_log = structlog.get_logger(__name__)


class Inbox(Protocol):
    """What of the store this needs (`engine.ports.Store`)."""

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        """Appends a message for a run. Raises `NotFound`."""
        ...


class Results:
    """Brings the answers of one broker to the inbox, while `running`."""

    def __init__(
        self,
        new_receiver: Callable[[], Broker],
        shown: str,
        callbacks: Callbacks,
        invocation: Callable[[str], Invocation | None],
        inbox: Inbox,
        wake_runs: Callable[[], None],
        workers: Workers,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._new_receiver = new_receiver
        self._shown = shown
        self._callbacks = callbacks
        self._invocation = invocation
        self._inbox = inbox
        self._wake_runs = wake_runs
        self._workers = workers
        self._clock = clock
        self._limits = limits
        self._is_ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Takes answers until the block ends."""
        task = asyncio.create_task(self._run(), name="results")
        try:
            yield
        finally:
            self._is_ending = True  # a library may swallow a cancellation
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        """A broker that is away is asked again."""
        is_told = False
        while not self._is_ending:
            receiver = self._new_receiver()
            try:
                await receiver.begin()
                is_told = False
                while not self._is_ending:
                    await self._take(receiver, await receiver.receive(self._limits.batch))
            except Exception as trouble:  # noqa: BLE001 - of whichever library; it begins anew
                if not is_told:
                    _log.warning("no answers come", broker=self._shown, reason=str(trouble))
                    is_told = True
            finally:
                await _end(receiver)
            if not self._is_ending:
                await asyncio.sleep(AGAIN_S)

    async def _take(self, receiver: Broker, deliveries: list[Delivery]) -> None:
        """Has answers stored, together, and acknowledges them."""
        if not deliveries:
            return
        await asyncio.gather(*(self._store(one.body) for one in deliveries))
        self._wake_runs()
        for delivery in deliveries:
            await receiver.acknowledge(delivery)

    async def _store(self, body: bytes) -> None:
        """Returns when the answer is durable, or is none that this hub can take."""
        try:
            ticket, answer = self._read(body)
        except NotAnAnswer as wrong:
            _log.warning("an answer is dropped", broker=self._shown, reason=str(wrong))
            return
        key, message = key_of(ticket.run), encode_message(answer)
        while key is not None:
            try:
                await self._inbox.post(key, message, self._clock.now())
            except NotFound:
                return  # the run is gone, long after its end
            except (StoreAway, StoreFull):  # asked twice, it is fenced at the second
                await asyncio.sleep(STORE_AGAIN_S)
            else:
                return

    def _read(self, body: bytes) -> tuple[QueueTicket, Answer]:
        """Whose answer it is, and what it means. Raises `NotAnAnswer`."""
        event = read_answer_event(body)
        ticket = self._callbacks.read_queue_ticket(event.data.ticket)
        if ticket is None:
            raise NotAnAnswer("this hub did not make its ticket")
        worker = event.data.worker[:VERSION_LENGTH]
        self._workers.hear(ticket.name, worker, self._clock.now())
        call = _call_of(ticket)
        told = bytes(event.data.answer)
        if len(told) > self._limits.module_answer_bytes:
            most = self._limits.module_answer_bytes
            text = f"the answer of the worker passes module_answer_bytes ({most})"
            return ticket, failed(call, "limit", text, final=True)
        problem = problem_of(told)
        if problem is not None:
            kind, final = problem.kind, problem.kind in FINAL_KINDS
            return ticket, failed(call, kind, problem.detail, final=final)
        try:
            answer = answer_told(call, told, self._invocation(ticket.module), self._limits)
        except NotAnAnswer as wrong:
            answer = failed(call, "result", str(wrong), final=True)
        return ticket, answer


def _call_of(ticket: QueueTicket) -> Dispatched:
    """The call that is answered, as far as an answer has to know it."""
    step = Step(ticket.step, ticket.name, ticket.module, "at-least-once", _NO_INPUT)
    return Dispatched(b"", ticket.run, Call(step, ticket.visit, ticket.attempt, None, 0))


async def _end(receiver: Broker) -> None:
    try:
        await receiver.end()
    except Exception as trouble:  # noqa: BLE001 - it is left anyway
        _log.debug("a line did not close cleanly", reason=str(trouble))
