"""A worker that takes calls from a broker: one consumer for each of its modules.

    receive ──> WorkerCalls ──> answer sent, and confirmed ──> call acknowledged
       │            └─ still at work: the broker is told, now and then
       └─ not acknowledged: the broker gives the call to whoever asks next, with its key and attempt

At most `concurrency` calls of each module are here at a time, so that none holds up another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from beltline.core.duration import DurationError, parse_moment_ms
from beltline.engine.answer_event import answer_event_of, problem_bytes
from beltline.engine.contract import PROBLEM_KINDS, CallEvent, NotAnAnswer, read_event
from beltline.engine.ports import Clock
from beltline.queues.broker import CallBroker
from beltline.worker.answering import AnswerLine, TooLarge
from beltline.worker.calls import Problem, WorkerCalls, told_answer
from beltline.worker.consumer import Consumer

_log = structlog.get_logger(__name__)


class QueueWorker:
    """Does the calls that wait at `places`. `name` is what the worker calls itself."""

    def __init__(
        self,
        calls: WorkerCalls,
        broker: CallBroker,
        places: Iterable[str],
        clock: Clock,
        *,
        name: str,
        concurrency: int,
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._name = name
        self._answers = AnswerLine(broker, clock)
        self._consumers = [Consumer(place, broker, concurrency, self._handle) for place in places]
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Does calls until the block ends; what is not answered then is left to the broker."""
        async with self._calls.running():
            self._tasks = [asyncio.create_task(consumer.run()) for consumer in self._consumers]
            try:
                yield
            finally:
                for consumer in self._consumers:
                    consumer.is_stopping = True  # a library may swallow a cancellation
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                for consumer in self._consumers:
                    await consumer.close()
                await self._answers.close()

    async def ready(self) -> None:
        """Returns when the calls of every module are asked for."""
        await asyncio.gather(*(consumer.has_begun.wait() for consumer in self._consumers))

    async def stop(self, grace_s: float) -> None:
        """Takes no more calls, has those under way answered for `grace_s` seconds at the most, and
        returns when the rest is given back.
        """
        self._calls.stop(grace_s)
        for consumer in self._consumers:
            consumer.is_stopping = True
        await asyncio.wait(self._tasks)

    def under_way(self) -> int:
        """How many calls are here."""
        return sum(consumer.under_way() for consumer in self._consumers)

    async def _handle(self, body: bytes, is_again: bool) -> bool:
        """One call. Tells whether it is done with; if not, it is left to the broker."""
        try:
            event = read_event(body)
            deadline = parse_moment_ms(event.data.deadline)
            left_ms = min(deadline - parse_moment_ms(event.time), deadline - self._clock.now())
        except (NotAnAnswer, DurationError) as wrong:
            _log.warning("a call is dropped", reason=str(wrong))
            return True
        if not event.data.results or not event.data.ticket:
            _log.warning("a call is dropped", reason="it does not say where its answer goes")
            return True
        told = await self._told(event, max(0, left_ms), is_again=is_again)
        if told is None:
            return False
        try:
            await self._send(event, told, deadline)
        except TooLarge as refused:
            try:
                await self._send(event, problem_bytes("limit", str(refused)), deadline)
            except TooLarge as again:  # the hub's deadline tells it
                _log.warning("an answer cannot be told", reason=str(again))
        return True

    async def _told(self, event: CallEvent, left_ms: int, *, is_again: bool) -> bytes | None:
        """The JSON of the answer; None where this worker ends before there is one."""
        if not left_ms:
            return problem_bytes("retry", "the call came after its deadline")
        try:
            async with asyncio.timeout(left_ms / 1_000):
                deadline = self._clock.now() + left_ms
                answer = await self._calls.answer(event.data, left_ms, deadline, is_again=is_again)
        except TimeoutError:
            return problem_bytes("retry", "there was no answer before the deadline")
        if answer is None:
            return None
        told = told_answer(answer)
        if not isinstance(told, Problem):
            return told
        kind = told.kind if told.kind in PROBLEM_KINDS else "exception"
        return problem_bytes(kind, told.detail)

    async def _send(self, event: CallEvent, told: bytes, deadline: int) -> None:
        asked = event.data
        answer = answer_event_of(event.id, asked.ticket, told, self._name)
        await self._answers.send(asked.results, answer, deadline)
