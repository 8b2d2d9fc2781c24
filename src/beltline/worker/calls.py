"""Calls at a worker, whichever way they came: handled as inside the hub, by the same transport.

A module does not notice where it is. A worker keeps nothing: what it had not answered when it ended
is called again, with its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from beltline import __version__
from beltline.catalog.catalog import Catalog
from beltline.connections import Connections
from beltline.core.inputs import Answer, Answered
from beltline.core.limits import Limits
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.egress.client import OutgoingClient
from beltline.engine.contract import StepCall, outcome_bytes
from beltline.engine.ports import Dispatched, Posted
from beltline.logs import run_logger
from beltline.loop import AsyncioMailbox
from beltline.sdk import Connection, Reject, Retry
from beltline.transports.event import EventTransport, Surroundings
from beltline.worker.absent import NoFiles, NoMemory

_NO_INPUT, _ = compile_value({}, frozenset(), ())


class WorkerCalls:
    """The handlers of a worker, and the calls that are with them."""

    def __init__(self, catalog: Catalog, connections: Connections, limits: Limits) -> None:
        self._connections = connections
        self._mailbox = AsyncioMailbox()
        self.surroundings = Surroundings(
            OutgoingClient, NoMemory(), run_logger, self._connection, NoFiles(), connections.clean
        )
        self._transport = EventTransport(
            catalog.invocation, self.surroundings, self._mailbox, limits
        )
        self._limits = limits
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._numbers = 0
        self.has_ended = asyncio.Event()
        self.is_stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers calls until the block ends; handlers that still run then are cancelled."""
        passing = asyncio.create_task(self._pass_on(), name="answers")
        try:
            yield
        finally:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
            await self._transport.close()

    def stop(self, grace_s: float) -> None:
        """No call is to begin from now on; those under way have `grace_s` to be answered."""
        if not self.is_stopping:
            self.is_stopping = True
            asyncio.get_running_loop().call_later(grace_s, self.has_ended.set)

    async def answer(
        self, called: StepCall, timeout_ms: int, deadline: int, *, is_again: bool = False
    ) -> Answer | None:
        """The answer to a call whose `deadline` is by this machine's clock; None where the worker
        ended before there was one. With `is_again` another worker may have done this very call.
        """
        call = self._call_of(called, timeout_ms, deadline, is_repeat=called.repeat or is_again)
        answered = self._waiting[call.key] = asyncio.get_running_loop().create_future()
        ended = asyncio.ensure_future(self.has_ended.wait())
        try:
            self._transport.dispatch([call])
            await asyncio.wait({answered, ended}, return_when=asyncio.FIRST_COMPLETED)
            return answered.result() if answered.done() else None
        finally:
            ended.cancel()
            del self._waiting[call.key]

    def _connection(self, name: str) -> Connection:
        connection = self._connections.get(name)
        if connection is None:
            raise LookupError(f"the home of this worker has no connection {name!r}: see --home")
        return connection

    def _call_of(
        self, called: StepCall, timeout_ms: int, deadline: int, *, is_repeat: bool
    ) -> Dispatched:
        """The call as a transport knows it."""
        self._numbers += 1
        name, _, _ = called.module.partition("@")
        step = Step(
            called.step,
            name,
            called.module,
            "at-least-once",
            _NO_INPUT,
            connection=None if called.connection is None else called.connection.name,
            timeout_ms=timeout_ms,
        )
        visit, attempt = called.visit, called.attempt
        call = Call(step, visit, attempt, called.input, deadline, is_repeat)
        return Dispatched(self._numbers.to_bytes(16), called.run, call)

    async def _pass_on(self) -> None:
        """Gives each answer to the request that waits for it, if it still does."""
        while True:
            posted: list[Posted] = await self._mailbox.take(self._limits.batch)
            for one in posted:
                waiting = self._waiting.get(one.key)
                answer: Any = one.input
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)


def worker_name(modules: str) -> str:
    """What a worker of this file, or Python module, calls itself."""
    return f"{modules} (beltline {__version__})"


class Problem(msgspec.Struct, frozen=True):
    """An answer that no outcome of a handler can tell: why it failed, by the kind of failure."""

    kind: str
    detail: str


def told_answer(answer: Answer) -> bytes | Problem:
    """What is told of an answer: the JSON of a result, a retry or a reject, or a problem."""
    if isinstance(answer, Answered):
        return outcome_bytes(answer.result)
    kind, reason = answer.error.kind, answer.error.message
    if kind == "retry":
        return outcome_bytes(
            Retry(reason, None if answer.after_ms is None else answer.after_ms / 1_000)
        )
    if kind == "reject":
        return outcome_bytes(Reject(reason))
    return Problem(kind, reason)
