"""A lane: an event loop in a thread of its own that drives async handlers.

A coroutine that never waits is driven to its end without a task of its own: a driver task runs
one after the other until one of them waits. From then on the driver is that handler's task (what
the handler asked `asyncio` for, such as a timeout, already belongs to it), and another driver
takes the rest.

A handler that blocks its thread stops its lane. The transport sees that by `is_stuck`, and gives
what the lane has not begun to another one (`unbegun`): batches are shared iterators, so each call
is taken once, whoever comes first.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Protocol

import msgspec

from beltline.core.inputs import Answer
from beltline.engine.ports import Dispatched, Posted
from beltline.sdk import Http
from beltline.transports.kept_clients import KeptClients

GRACE_S = 1.0  # the belt's own deadline is to come first, since it names the limit
STUCK_S = 1.0  # handlers of one lane wait for each other no longer than this
CLOSING_S = 5.0  # a handler that blocks its lane is left behind: the process is about to end


class LaneHttp(Http, Protocol):
    """An outgoing client that belongs to one loop, and is closed in it."""

    async def close(self) -> None:
        """Closes its connections."""
        ...


class Carrier(Protocol):
    """What a lane asks of its transport."""

    def begin(
        self, call: Dispatched, http: Http, clients: KeptClients | None
    ) -> Coroutine[Any, Any, Any] | Answer | None:
        """The handler's coroutine; or the answer, where it is known; or None, where the call has
        gone another way.
        """
        ...

    def begin_batch(
        self, calls: list[Dispatched], http: Http
    ) -> tuple[list[Answer], list[Dispatched], Coroutine[Any, Any, Any] | None]:
        """Answers that are known, with their calls; and the batch handler's coroutine for the rest,
        None where there is nothing left for it.
        """
        ...

    def answers(self, calls: list[Dispatched], outcomes: Any) -> list[Answer]:
        """What a batch handler's outcomes mean, one for each call."""
        ...

    def answer(self, call: Dispatched, outcome: Any) -> Answer:
        """What the handler's outcome means."""
        ...

    def raised(self, call: Dispatched, error: BaseException) -> Answer:
        """What it means that the handler raised."""
        ...

    def post(self, answers: list[Posted]) -> None:
        """Takes answers over."""
        ...


class Lane:
    """One loop with its handlers. `current` is the call that is being driven right now."""

    def __init__(self, carrier: Carrier, new_http: Callable[[], LaneHttp]) -> None:
        self._carrier = carrier
        self._http = new_http()
        self._clients = KeptClients()
        self._batches: deque[Iterator[Dispatched]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._driven = 0
        self._seen = -1
        self._beat_sent = 0.0  # when the heartbeat was sent that has not come back; 0: none is out
        self._is_ending = False
        self.current: Dispatched | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="handlers", daemon=True)
        self._thread.start()

    def take(self, batch: Iterator[Dispatched]) -> None:
        """Drives a batch; any thread may call this."""
        self._batches.append(batch)
        self._loop.call_soon_threadsafe(self._drive_on, batch)

    def take_batch(self, calls: list[Dispatched]) -> None:
        """Drives calls that go to a batch handler together; any thread may call this."""
        self._loop.call_soon_threadsafe(self._begin_batch, calls)

    def _begin_batch(self, calls: list[Dispatched]) -> None:
        task = self._loop.create_task(self._drive_batch(calls))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive_batch(self, calls: list[Dispatched]) -> None:
        carrier = self._carrier
        self._driven += 1
        self.current = calls[0]
        answers, answered, begun = carrier.begin_batch(calls, self._http)
        known = set(map(id, answered))
        rest = [call for call in calls if id(call) not in known]
        if begun is not None:
            answers = answers + await self._batch_answers(rest, begun)
        self.current = None
        keys = [call.key for call in (*answered, *rest)]
        carrier.post([Posted(key, answer) for key, answer in zip(keys, answers, strict=True)])

    async def _batch_answers(
        self, calls: list[Dispatched], begun: Coroutine[Any, Any, Any]
    ) -> list[Answer]:
        """Drives a batch handler to its end, no longer than its longest attempt may take."""
        longest_ms = max(call.call.step.timeout_ms for call in calls)
        try:
            waits_for = begun.send(None)
            self.current = None
            async with asyncio.timeout(longest_ms / 1_000 + GRACE_S):
                return self._carrier.answers(calls, await _Continued(begun, waits_for))
        except StopIteration as stopped:
            return self._carrier.answers(calls, stopped.value)
        except BaseException as error:
            if self._is_ending:
                raise
            return [self._carrier.raised(call, error) for call in calls]

    def is_stuck(self) -> bool:
        """Whether nothing has moved here for `STUCK_S`; to be asked every now and then."""
        now = time.monotonic()
        if not self._beat_sent or self._seen != self._driven:
            self._seen = self._driven
            if not self._beat_sent:
                self._loop.call_soon_threadsafe(self._beat)
            self._beat_sent = now
            return False
        return now - self._beat_sent > STUCK_S

    def unbegun(self) -> list[Iterator[Dispatched]]:
        """The batches that are not at their end."""
        return list(self._batches)

    def end(self) -> None:
        """Tells the lane to stop; handlers that are under way are cancelled."""
        self._is_ending = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self) -> None:
        """Waits for the thread, for a while."""
        self._thread.join(CLOSING_S)

    def is_idle(self) -> bool:
        """Whether no handler is under way here."""
        return not self._tasks and not self._batches

    def _beat(self) -> None:
        self._beat_sent = 0.0

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            pending = list(self._tasks)
            for task in pending:
                task.cancel()
            if pending:
                self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._loop.run_until_complete(self._clients.close())
            self._loop.run_until_complete(self._http.close())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _drive_on(self, batch: Iterator[Dispatched]) -> None:
        task = self._loop.create_task(self._drive(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, batch: Iterator[Dispatched]) -> None:
        carrier = self._carrier
        answers: list[Posted] = []
        for call in batch:
            self._driven += 1
            self.current = call
            begun = carrier.begin(call, self._http, self._clients)
            if begun is None:
                continue
            if isinstance(begun, msgspec.Struct):
                answers.append(Posted(call.key, begun))
                continue
            try:
                waits_for = begun.send(None)
            except StopIteration as stopped:
                answers.append(Posted(call.key, carrier.answer(call, stopped.value)))
            except BaseException as error:  # SystemExit in a handler is the handler's failure
                answers.append(Posted(call.key, carrier.raised(call, error)))
            else:
                self.current = None
                self._drive_on(batch)
                if answers:
                    carrier.post(answers)
                carrier.post([Posted(call.key, await self._finish(call, begun, waits_for))])
                return
        self.current = None
        if batch in self._batches:
            self._batches.remove(batch)
        if answers:
            carrier.post(answers)

    async def _finish(
        self, call: Dispatched, coroutine: Coroutine[Any, Any, Any], waits_for: Any
    ) -> Answer:
        """Waits for a handler, no longer than its attempt may take: a later answer would be fenced
        off anyway, and a handler that hangs would hold its connection for ever.
        """
        try:
            async with asyncio.timeout(call.call.step.timeout_ms / 1_000 + GRACE_S):
                return self._carrier.answer(call, await _Continued(coroutine, waits_for))
        except BaseException as error:
            if self._is_ending:
                raise
            return self._carrier.raised(call, error)


class _Continued:
    """Awaits the rest of a coroutine that has been sent its first None."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, waits_for = self._coroutine, self._waits_for
        while True:
            thrown: BaseException | None = None
            sent = None
            try:
                sent = yield waits_for
            except BaseException as error:
                thrown = error
            try:
                waits_for = coroutine.send(sent) if thrown is None else coroutine.throw(thrown)
            except StopIteration as stopped:
                return stopped.value
