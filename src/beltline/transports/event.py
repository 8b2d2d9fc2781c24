"""The `event` transport: handlers inside this process, away from the belt.

Async handlers run in a lane, an event loop in a thread of its own (transports/lane.py); plain
functions run in a pool of threads, of which one module takes only its share. So nothing that a
handler does (block, compute, raise) holds up the belt. Calls come over and answers go back in
batches.

An async handler that blocks its thread stops the lane for the others. A watch finds that within
about a second: what the lane has not begun goes to a new one, and the module that is to blame
runs in the pool from then on, each call with a loop of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from beltline.catalog.answers import answer_of, cleaned, failed, raised, unknown
from beltline.catalog.invocation import Invocation
from beltline.catalog.parameters import explain
from beltline.core.inputs import Answer
from beltline.core.limits import Limits
from beltline.engine.ports import Dispatched, Mailbox, Posted
from beltline.sdk import Bounds, Connection, Context, Files, Http, KeyValue, Logger
from beltline.transports.kept_clients import KeptClients
from beltline.transports.lane import GRACE_S, Lane, LaneHttp
from beltline.transports.reach import ReachingHttp

WATCH_S = 0.25


class Surroundings(msgspec.Struct, frozen=True):
    """What every context is given: an outgoing client (one for each loop), the memory, the log,
    the connections by name, the files of requests. `clean` takes secrets out of what a handler with
    a connection gives, by their values: what it was answered may hold them.
    """

    new_http: Callable[[], LaneHttp]
    memory: KeyValue
    log: Callable[[str, str], Logger]
    connection: Callable[[str], Connection | None]
    files: Files
    clean: Callable[[Any], Any]


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
        self._bounds = msgspec.convert(limits, Bounds, from_attributes=True)
        self._pool = ThreadPoolExecutor(limits.handler_threads, thread_name_prefix="handler")
        self._queues: dict[str, deque[tuple[Dispatched, Invocation]]] = {}
        self._busy: dict[str, int] = {}
        self._blocking: set[str] = set()  # modules whose async handlers block
        self._lock = threading.Lock()  # for what lanes and pool threads both change
        self._under_way = 0
        self._tell_idle: Callable[[], object] | None = None
        self._inline_http = surroundings.new_http()
        self._lane = Lane(self, surroundings.new_http)
        self._stuck: list[Lane] = []
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_lane, name="lane-watch", daemon=True)
        self._watch.start()

    # The belt's side

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        with self._lock:
            self._under_way += len(calls)
            self._lane.take(iter(calls))

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """Takes over calls that go to their module's batch handler together."""
        if calls[0].call.step.implementation in self._blocking:
            self.dispatch(calls)
            return
        with self._lock:
            self._under_way += len(calls)
            self._lane.take_batch(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        """Runs a pure handler here and now. One that waits for something is no pure handler, and
        its call fails.
        """
        begun = self.begin(call, self._inline_http, None)
        if not isinstance(begun, Coroutine):
            return begun or failed(call, "module", "a pure module must be async", final=True)
        try:
            begun.send(None)
        except StopIteration as stopped:
            return self.answer(call, stopped.value)
        except BaseException as error:
            return self.raised(call, error)
        begun.close()
        return failed(call, "module", "a pure module must not wait", final=True)

    def under_way(self) -> int:
        """How many calls have no answer yet."""
        return self._under_way

    async def idle(self) -> None:
        """Waits until every call has its answer."""
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._tell_idle = partial(loop.call_soon_threadsafe, event.set)
        if self._under_way:
            await event.wait()

    async def close(self) -> None:
        """Ends all lanes; handlers that are under way are cancelled, threads are left behind."""
        self._closing.set()
        await asyncio.to_thread(self._watch.join)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._lane.end()
        for lane in self._stuck:
            lane.end()
        await asyncio.to_thread(self._lane.join)
        await self._inline_http.close()

    # The lanes' side

    def begin(
        self, call: Dispatched, http: Http, clients: KeptClients | None
    ) -> Coroutine[Any, Any, Any] | Answer | None:
        """Begins a call; see `lane.Carrier`."""
        invocation = self._find(call.call.step.implementation)
        if invocation is None:
            return unknown(call)
        if not invocation.is_async or (
            self._blocking and invocation.module.pinned in self._blocking
        ):
            self._queue(call, invocation)
            return None
        try:
            config = invocation.decode(call.call.input)
            coroutine: Coroutine[Any, Any, Any] = invocation.call(
                config, self._context(call, http, clients)
            )
        except msgspec.ValidationError as wrong:
            return failed(call, "input", explain(wrong), final=True)
        except Exception as error:
            return self.raised(call, error)
        return coroutine

    def begin_batch(
        self, calls: list[Dispatched], http: Http
    ) -> tuple[list[Answer], list[Dispatched], Coroutine[Any, Any, Any] | None]:
        """Begins a batch; see `lane.Carrier`."""
        invocation = self._find(calls[0].call.step.implementation)
        if invocation is None or invocation.module.batch is None:
            return [unknown(call) for call in calls], calls, None
        http = ReachingHttp(http, calls)
        wrong: list[Answer] = []
        wrong_calls: list[Dispatched] = []
        good: list[tuple[Any, Context]] = []
        for call in calls:
            try:
                good.append((invocation.decode(call.call.input), self._context(call, http)))
            except msgspec.ValidationError as error:
                wrong.append(failed(call, "input", explain(error), final=True))
                wrong_calls.append(call)
            except Exception as error:
                wrong.append(self.raised(call, error))
                wrong_calls.append(call)
        coroutine: Any = invocation.module.batch(good) if good else None
        return wrong, wrong_calls, coroutine

    def answers(self, calls: list[Dispatched], outcomes: Any) -> list[Answer]:
        """What a batch handler's outcomes mean, one for each call."""
        if not isinstance(outcomes, list) or len(outcomes) != len(calls):
            text = f"the batch handler must give a list of {len(calls)} answers, one for each call"
            return [failed(call, "result", text, final=True) for call in calls]
        return [self.answer(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)]

    def answer(self, call: Dispatched, outcome: Any) -> Answer:
        """What a handler's outcome means."""
        invocation = self._find(call.call.step.implementation)
        answer = answer_of(call, outcome, invocation, self._limits)
        return cleaned(call, answer, self._surroundings.clean)

    def raised(self, call: Dispatched, error: BaseException) -> Answer:
        """What it means that a handler raised."""
        return cleaned(call, raised(call, error), self._surroundings.clean)

    def post(self, answers: list[Posted]) -> None:
        """Answers go to the belt."""
        self._mailbox.post(answers)
        with self._lock:
            self._under_way -= len(answers)
        if self._tell_idle is not None and not self._under_way:
            self._tell_idle()

    def _context(self, call: Dispatched, http: Http, clients: KeptClients | None = None) -> Context:
        asked, around = call.call, self._surroundings
        connection = asked.step.connection
        if connection is not None and not isinstance(http, ReachingHttp):
            http = ReachingHttp(http, [call])
        return Context(  # in the order of its parameters: this is made for every call
            call.run,
            asked.step.id,
            asked.visit,
            asked.attempt,
            asked.deadline,
            None if connection is None else around.connection(connection),
            http,
            around.memory,
            around.log,
            around.files,
            self._bounds,
            asked.is_repeat,
            clients,
        )

    def _watch_lane(self) -> None:
        while not self._closing.wait(WATCH_S):
            if self._lane.is_stuck():
                self._replace_lane()
            self._stuck = [lane for lane in self._stuck if not self._came_back(lane)]

    def _replace_lane(self) -> None:
        stuck, culprit = self._lane, self._lane.current
        if culprit is not None:
            pinned = culprit.call.step.implementation
            self._blocking.add(pinned)
            log = self._surroundings.log(culprit.run, culprit.call.step.id)
            log.warning(
                "an async handler blocks its thread; make it a plain function", module=pinned
            )
        with self._lock:
            self._lane = Lane(self, self._surroundings.new_http)
            self._stuck.append(stuck)
        for batch in stuck.unbegun():
            self._lane.take(batch)

    def _came_back(self, lane: Lane) -> bool:
        """Ends a lane that was stuck and has nothing under way any more."""
        if lane.is_stuck() or not lane.is_idle():
            return False
        lane.end()
        return True

    # Plain functions, in threads

    def _queue(self, call: Dispatched, invocation: Invocation) -> None:
        """One module takes only its share of the threads; its further calls wait here."""
        name = invocation.module.pinned
        with self._lock:
            self._queues.setdefault(name, deque()).append((call, invocation))
        self._next_of(name)

    def _next_of(self, name: str) -> None:
        with self._lock:
            queue = self._queues[name]
            while queue and self._busy.get(name, 0) < self._limits.handlers_per_module:
                self._busy[name] = self._busy.get(name, 0) + 1
                self._pool.submit(self._call_plain, *queue.popleft())

    def _call_plain(self, call: Dispatched, invocation: Invocation) -> None:
        try:
            answer = self.answer(call, self._outcome(call, invocation))
        except msgspec.ValidationError as wrong:
            answer = failed(call, "input", explain(wrong), final=True)
        except BaseException as error:  # SystemExit in a handler is the handler's failure
            answer = self.raised(call, error)
        name = invocation.module.pinned
        with self._lock:
            self._busy[name] -= 1
        if not self._closing.is_set():
            self.post([Posted(call.key, answer)])
            self._next_of(name)

    def _outcome(self, call: Dispatched, invocation: Invocation) -> Any:
        config = invocation.decode(call.call.input)
        if not inspect.iscoroutinefunction(invocation.module.handler):
            return invocation.call(config, self._context(call, self._inline_http))
        return asyncio.run(self._with_own_loop(call, invocation, config))

    async def _with_own_loop(self, call: Dispatched, invocation: Invocation, config: Any) -> Any:
        http, clients = self._surroundings.new_http(), KeptClients()
        try:
            async with asyncio.timeout(call.call.step.timeout_ms / 1_000 + GRACE_S):
                return await invocation.call(config, self._context(call, http, clients))
        finally:
            await clients.close()
            await http.close()
