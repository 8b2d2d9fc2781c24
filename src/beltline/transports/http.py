"""The `http` transport: calls go to workers as CloudEvents, by POST to the address of the module.

Each bound name has a line of its own, in which calls wait while as many are under way as its worker
may have. So a worker that is slow or gone holds up no other. Connections are kept and used again.

    dispatch ──> line of the name ──> POST ──> answer at once     ──> Answered, AttemptFailed
                                          └──> 202: comes later   ──> Deferred
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from beltline.catalog.answers import failed, raised, unknown
from beltline.catalog.catalog import Remote
from beltline.catalog.invocation import Invocation
from beltline.core.inputs import Answer, Deferred
from beltline.core.limits import Limits
from beltline.engine.callbacks import Callbacks
from beltline.engine.contract import (
    ANSWER_MEDIA,
    EVENT_MEDIA,
    WORKER_HEADER,
    CalledConnection,
    event_of,
)
from beltline.engine.ports import Clock, Dispatched, Mailbox, Posted
from beltline.engine.workers import Workers
from beltline.sdk import Connection, HttpFailed, HttpResponse
from beltline.transports.http_answers import answer_of_failure, answer_of_response
from beltline.transports.lane import GRACE_S, LaneHttp
from beltline.transports.worker_reach import note_failure, note_response

VERSION_BYTES = 200  # of what a worker calls itself


class Directory(Protocol):
    """Where modules are, and what they declare (`catalog.Catalog`)."""

    def remote(self, name: str, pinned: str) -> Remote | None:
        """The worker of a step."""
        ...

    def invocation(self, pinned: str) -> Invocation | None:
        """The module's declaration."""
        ...


class WorkerSurroundings(msgspec.Struct, frozen=True):
    """What calls of workers need beside their module: the outgoing client, what may be told of a
    connection, the values of secrets by their names, the addresses for later answers, and who keeps
    what workers call themselves.
    """

    http: LaneHttp
    connection: Callable[[str], CalledConnection | None]
    secret: Callable[[str], str]
    callbacks: Callbacks
    workers: Workers


class Line:
    """The calls of one bound name: those that wait, and how many are under way."""

    def __init__(self, remote: Remote, most: int) -> None:
        self.remote = remote
        self.most = most
        self.waiting: deque[Dispatched] = deque()
        self.busy = 0
        # An operator's file names the address, so it may be a private one.
        self.account = Connection(
            remote.name, "worker", remote.address, options={"private_addresses": "allow"}
        )


class HttpTransport:
    """Calls workers and posts their answers to the mailbox. It belongs to the loop of the belt."""

    def __init__(
        self,
        directory: Directory,
        around: WorkerSurroundings,
        mailbox: Mailbox,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._directory = directory
        self._around = around
        self._mailbox = mailbox
        self._clock = clock
        self._limits = limits
        self._lines: dict[str, Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        self._under_way += len(calls)
        self._idle.clear()
        for call in calls:
            step = call.call.step
            remote = self._directory.remote(step.module, step.implementation)
            if remote is None:
                self._end(call, unknown(call))
                continue
            line = self._line(remote)
            line.waiting.append(call)
            if line.busy < line.most:
                line.busy += 1
                task = asyncio.get_running_loop().create_task(self._work_off(line))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """A worker takes one call at a time."""
        self.dispatch(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        """No module behind a network is pure."""
        return failed(call, "module", "a module of a worker is not called in place", final=True)

    def under_way(self) -> int:
        """How many calls have no answer yet."""
        return self._under_way

    async def idle(self) -> None:
        """Waits until every call has its answer."""
        await self._idle.wait()

    async def close(self) -> None:
        """Drops calls that are under way, and closes all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._around.http.close()

    def _line(self, remote: Remote) -> Line:
        line = self._lines.get(remote.name)
        if line is None:
            most = remote.concurrency or self._limits.module_calls
            line = self._lines[remote.name] = Line(remote, most)
        return line

    async def _work_off(self, line: Line) -> None:
        """One place of a line: calls one after the other, until none waits."""
        try:
            while line.waiting:
                call = line.waiting.popleft()
                self._end(call, await self._carry(line, call))
        finally:
            line.busy -= 1

    def _end(self, call: Dispatched, answer: Answer | Deferred | None) -> None:
        if answer is not None:
            self._mailbox.post([Posted(call.key, answer)])
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def _carry(self, line: Line, call: Dispatched) -> Answer | Deferred | None:
        """One call; None where its deadline passed while it waited, which the belt has noticed."""
        left_s = (call.call.deadline - self._clock.now()) / 1_000
        if left_s <= 0:
            return None
        try:
            return await self._ask(line, call, left_s + GRACE_S)
        except HttpFailed as trouble:
            note_failure(call, trouble)
            return answer_of_failure(call, trouble, self._limits)
        except Exception as error:
            return raised(call, error)

    async def _ask(self, line: Line, call: Dispatched, timeout_s: float) -> Answer | Deferred:
        """Sends the event and reads the response. Raises `HttpFailed`, and for a missing secret."""
        event, most = self._event_of(call), self._limits.module_event_bytes
        if len(event) > most:
            text = f"the event would pass module_event_bytes ({most}): give the step less"
            return failed(call, "limit", text, final=True)
        invocation = self._directory.invocation(call.call.step.implementation)
        # What the worker asks for on the connection is not seen here: all that it may count.
        call.requests = 1 if invocation is None else invocation.module.requests
        response = await self._around.http.request(
            "POST",
            line.remote.address,
            headers=self._headers_of(line.remote),
            body=event,
            timeout_s=timeout_s,
            connection=line.account,
        )
        self._hear(line.remote, response)
        note_response(call, response)
        asked = call.call
        if response.status == 202:
            if not self._around.callbacks.base:
                text = "the worker answers later (202), and this hub has no address: [server] url"
                return failed(call, "transport", text, final=False)
            return Deferred(asked.step.id, asked.visit, asked.attempt)
        return answer_of_response(call, response, invocation, self._limits)

    def _event_of(self, call: Dispatched) -> bytes:
        around, name = self._around, call.call.step.connection
        return event_of(
            call,
            now=self._clock.now(),
            callback=around.callbacks.address(call),
            connection=None if name is None else around.connection(name),
        )

    def _headers_of(self, remote: Remote) -> dict[str, str]:
        headers = {"Content-Type": EVENT_MEDIA, "Accept": ANSWER_MEDIA}
        if remote.secret:
            headers["Authorization"] = f"Bearer {self._around.secret(remote.secret)}"
        return headers

    def _hear(self, remote: Remote, response: HttpResponse) -> None:
        version = response.headers.get(WORKER_HEADER, "")[:VERSION_BYTES]
        self._around.workers.hear(remote.name, version, self._clock.now())
