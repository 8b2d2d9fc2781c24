"""The `event` transport: handlers inside this process, away from the belt.

Async handlers run on a second event loop in a thread of its own, plain functions in a pool of
threads, so that nothing a handler does (block, compute, raise) holds up the belt. Calls come over
and answers go back in batches.

A coroutine that never waits is driven to its end without a task of its own: a driver task runs
one after the other until one of them waits. From then on the driver is that handler's task (what
the handler asked `asyncio` for, such as a timeout, already belongs to it), and another driver
takes the rest.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from beltline.catalog.invocation import Invocation
from beltline.catalog.parameters import explain
from beltline.core.events import Error
from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import Limits
from beltline.engine.ports import Dispatched, Mailbox, Posted
from beltline.sdk import Connection, Context, Http, KeyValue, Logger, Reject, Retry

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_Answer = Answered | AttemptFailed
_CLOSING_S = 5.0  # a handler that blocks the loop is left behind: the process is about to end


class Surroundings(msgspec.Struct, frozen=True):
    """What every context is given: the outgoing client, the memory, the log, the connections."""

    http: Http
    memory: KeyValue
    log: Callable[[str, str], Logger]
    connection: Callable[[str], Connection | None]


class EventTransport:
    """Calls handlers of `find(pinned name)` and posts their answers to the mailbox."""

    def __init__(
        self,
        find: Callable[[str], Invocation | None],
        surroundings: Surroundings,
        mailbox: Mailbox,
        limits: Limits,
    ) -> None:
        self._find = find
        self._surroundings = surroundings
        self._mailbox = mailbox
        self._limits = limits
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(limits.handler_threads, thread_name_prefix="handler")
        self._queues: dict[str, deque[tuple[Dispatched, Invocation]]] = {}
        self._busy: dict[str, int] = {}
        self._dispatched = 0  # counted by the belt's thread only
        self._answered = 0  # counted by the handlers' thread only
        self._tell_idle: Callable[[], object] | None = None
        self._last: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._thread = threading.Thread(target=self._serve, name="handlers", daemon=True)
        self._thread.start()

    # The belt's side

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        self._dispatched += len(calls)
        self._loop.call_soon_threadsafe(self._begin, calls)

    def call_inline(self, call: Dispatched) -> _Answer:
        """Runs a pure handler here and now. One that waits for something is no pure handler, and
        its call fails.
        """
        handling = self._find(call.call.step.implementation)
        if handling is None:
            return _unknown(call)
        try:
            config = handling.decode(call.call.input)
        except msgspec.ValidationError as wrong:
            return _failed(call, "input", explain(wrong), final=True)
        try:
            outcome = handling.call(config, self._context(call))
            if inspect.iscoroutine(outcome):
                try:
                    outcome.send(None)
                except StopIteration as stopped:
                    outcome = stopped.value
                else:
                    outcome.close()
                    return _failed(call, "module", "a pure module must not wait", final=True)
        except Exception as raised:
            return _raised(call, raised)
        return self._answer(call, outcome)

    def under_way(self) -> int:
        """How many calls have no answer yet."""
        return self._dispatched - self._answered

    async def idle(self) -> None:
        """Waits until every call has its answer."""
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._tell_idle = partial(loop.call_soon_threadsafe, event.set)
        if self.under_way():
            await event.wait()

    async def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Ends the handlers' loop; handlers that are under way are cancelled. `last` is run in
        that loop before it closes, for what belongs to it.
        """
        self._last = last
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, _CLOSING_S)

    # The handlers' side

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for task in self._tasks:
                task.cancel()
            pending = list(self._tasks)
            if pending:
                self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            if self._last is not None:
                self._loop.run_until_complete(self._last())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _begin(self, calls: list[Dispatched]) -> None:
        self._drive_on(iter(calls))

    def _drive_on(self, calls: Iterator[Dispatched]) -> None:
        task = self._loop.create_task(self._drive(calls))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, calls: Iterator[Dispatched]) -> None:
        answers: list[Posted] = []
        try:
            for call in calls:
                coroutine = self._open(call, answers)
                if coroutine is None:
                    continue
                try:
                    waits_for = coroutine.send(None)
                except StopIteration as stopped:
                    answers.append(Posted(call.key, self._answer(call, stopped.value)))
                    continue
                except Exception as raised:
                    answers.append(Posted(call.key, _raised(call, raised)))
                    continue
                self._drive_on(calls)
                self._post(answers)
                answers = []
                answers.append(Posted(call.key, await self._finish(call, coroutine, waits_for)))
                return
        finally:
            self._post(answers)

    async def _finish(
        self, call: Dispatched, coroutine: Coroutine[Any, Any, Any], waits_for: Any
    ) -> _Answer:
        """Waits for a handler, no longer than its attempt may take: a later answer would be fenced
        off anyway, and a handler that hangs would hold its connection for ever.
        """
        try:
            async with asyncio.timeout(call.call.step.timeout_ms / 1_000 + 1):
                return self._answer(call, await _Continued(coroutine, waits_for))
        except Exception as raised:
            return _raised(call, raised)

    def _open(self, call: Dispatched, answers: list[Posted]) -> Coroutine[Any, Any, Any] | None:
        """The handler's coroutine; None where the answer is known, or comes from the pool."""
        handling = self._find(call.call.step.implementation)
        if handling is None:
            answers.append(Posted(call.key, _unknown(call)))
            return None
        if not handling.is_async:
            self._queue(call, handling)
            return None
        try:
            config = handling.decode(call.call.input)
        except msgspec.ValidationError as wrong:
            answers.append(Posted(call.key, _failed(call, "input", explain(wrong), final=True)))
            return None
        coroutine: Coroutine[Any, Any, Any] = handling.call(config, self._context(call))
        return coroutine

    def _post(self, answers: list[Posted]) -> None:
        if answers:
            self._mailbox.post(answers)
            self._answered += len(answers)
            if self._tell_idle is not None and not self.under_way():
                self._tell_idle()

    # Plain functions, in threads

    def _queue(self, call: Dispatched, handling: Invocation) -> None:
        """One module takes only its share of the threads; its further calls wait here."""
        self._queues.setdefault(handling.module.pinned, deque()).append((call, handling))
        self._next_of(handling.module.pinned)

    def _next_of(self, name: str) -> None:
        queue = self._queues[name]
        while queue and self._busy.get(name, 0) < self._limits.handlers_per_module:
            call, handling = queue.popleft()
            self._busy[name] = self._busy.get(name, 0) + 1
            self._pool.submit(self._call_plain, call, handling)

    def _call_plain(self, call: Dispatched, handling: Invocation) -> None:
        try:
            config = handling.decode(call.call.input)
        except msgspec.ValidationError as wrong:
            answer: _Answer = _failed(call, "input", explain(wrong), final=True)
        else:
            try:
                answer = self._answer(call, handling.call(config, self._context(call)))
            except BaseException as raised:  # SystemExit in a handler is the handler's failure
                answer = _raised(call, raised)
        try:
            self._loop.call_soon_threadsafe(self._done_plain, call, handling.module.pinned, answer)
        except RuntimeError:
            return  # the loop is closed: the node is ending, and the run will be recovered

    def _done_plain(self, call: Dispatched, name: str, answer: _Answer) -> None:
        self._busy[name] -= 1
        self._post([Posted(call.key, answer)])
        self._next_of(name)

    # Answers

    def _context(self, call: Dispatched) -> Context:
        asked = call.call
        step = asked.step
        around = self._surroundings
        return Context(
            run=call.run,
            step=step.id,
            visit=asked.visit,
            attempt=asked.attempt,
            deadline_ms=asked.deadline,
            connection=around.connection(step.connection) if step.connection else None,
            http=around.http,
            memory=around.memory,
            log=around.log,
        )

    def _answer(self, call: Dispatched, outcome: Any) -> _Answer:
        asked = call.call
        if type(outcome) is Retry:
            after = None if outcome.after_s is None else round(outcome.after_s * 1_000)
            error = Error("retry", outcome.reason)
            return AttemptFailed(asked.step.id, asked.visit, asked.attempt, error, after_ms=after)
        if type(outcome) is Reject:
            return _failed(call, "reject", outcome.reason, final=True)
        try:
            # Through JSON, so that memory holds just what the journal will: no object of the
            # handler's, no type that JSON does not know.
            encoded = _encode(outcome)
            result = _decode(encoded)
        except (TypeError, ValueError, OverflowError, RecursionError) as wrong:
            return _failed(call, "result", f"the result is not JSON: {wrong}", final=True)
        if len(encoded) > self._limits.result_bytes:
            text = f"the result passes result_bytes ({self._limits.result_bytes})"
            return _failed(call, "limit", text, final=True)
        return Answered(asked.step.id, asked.visit, asked.attempt, result, len(encoded))


class _Continued:
    """Awaits the rest of a coroutine that has been sent its first None."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        while True:
            try:
                sent = yield waits_for
            except BaseException as thrown:
                resume: Callable[[], Any] = _throwing(self._coroutine, thrown)
            else:
                resume = _sending(self._coroutine, sent)
            try:
                waits_for = resume()
            except StopIteration as stopped:
                return stopped.value


def _sending(coroutine: Coroutine[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: coroutine.send(value)


def _throwing(coroutine: Coroutine[Any, Any, Any], thrown: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(thrown)


def _failed(call: Dispatched, kind: str, message: str, *, final: bool) -> AttemptFailed:
    asked = call.call
    return AttemptFailed(asked.step.id, asked.visit, asked.attempt, Error(kind, message), final)


def _unknown(call: Dispatched) -> AttemptFailed:
    text = f"there is no module {call.call.step.implementation} on this node"
    return _failed(call, "module", text, final=False)


def _raised(call: Dispatched, raised: BaseException) -> AttemptFailed:
    text = str(raised)
    name = type(raised).__name__
    return _failed(call, "exception", f"{name}: {text}" if text else name, final=False)
