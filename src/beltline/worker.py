"""A worker: a file of modules served over HTTP, for hubs that bind names to its address.

    POST /         an event of a call ──> EventTransport ──> the answer, or a problem
    GET  /healthz  who this is, its modules, what is under way; 503 while it stops

Handlers run as inside the hub, by the same transport, so that a module does not notice where it is.
A worker keeps nothing: what it had not answered when it ended the hub calls again, with its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from beltline import __version__
from beltline.catalog.catalog import Catalog
from beltline.connections import Connections
from beltline.core.duration import DurationError, parse_moment_ms
from beltline.core.inputs import Answer, Answered
from beltline.core.limits import Limits
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.egress.client import OutgoingClient
from beltline.engine.contract import (
    ANSWER_MEDIA,
    EVENT_MEDIA,
    PROBLEM_MEDIA,
    WORKER_HEADER,
    NotAnAnswer,
    StepCall,
    outcome_bytes,
    read_event,
)
from beltline.engine.ports import Clock, Dispatched, Posted
from beltline.logs import run_logger
from beltline.loop import AsyncioMailbox
from beltline.sdk import Connection, FileRef, KeyValue, NoFile, OpenFile, Reject, Retry
from beltline.transports.event import EventTransport, Surroundings

_STATUSES = {"input": 422, "module": 404}
_NO_INPUT, _ = compile_value({}, frozenset(), ())


class NoMemory:
    """What modules remember lies in the hub's store, which a worker does not reach."""

    async def get(self, space: str, key: str) -> Any | None:
        """Refused."""
        raise _no_memory(space, key)

    async def put(
        self,
        space: str,
        key: str,
        value: Any,  # noqa: ARG002 - the shape of `sdk.KeyValue`
        *,
        ttl_s: float | None = None,  # noqa: ARG002 - the same
    ) -> None:
        """Refused."""
        raise _no_memory(space, key)

    async def put_if_absent(
        self,
        space: str,
        key: str,
        value: Any,  # noqa: ARG002 - the same
        *,
        ttl_s: float | None = None,  # noqa: ARG002 - the same
    ) -> Any:
        """Refused."""
        raise _no_memory(space, key)

    async def delete(self, space: str, key: str) -> bool:
        """Refused."""
        raise _no_memory(space, key)


def _no_memory(space: str, key: str) -> RuntimeError:
    return RuntimeError(
        f"a worker has no memory, so {key[:100]!r} of {space[:100]!r} cannot be asked for: write"
        " `remember` and `recall` as steps"
    )


class NoFiles:
    """The files of requests lie beside the hub, which a worker does not reach."""

    async def open(self, ref: FileRef) -> OpenFile:
        """Refused."""
        raise NoFile(f"a worker has no files of the hub, so {ref.blob[:100]!r} cannot be read here")

    async def keep(
        self,
        content: bytes,  # noqa: ARG002 - the shape of `sdk.Files`
        name: str,
        type: str,  # noqa: ARG002 - the same
    ) -> FileRef:
        """Refused."""
        raise NoFile(f"a worker keeps no files, so {name[:100]!r} cannot be given back as one")


class Reply(msgspec.Struct, frozen=True):
    """A response: its status, content type and body."""

    status: int
    media: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Worker:
    """The ASGI app. At most `concurrency` calls are with their handlers, and others wait. With a
    `secret` only those who show it as a bearer token are served.
    """

    def __init__(
        self,
        catalog: Catalog,
        connections: Connections,
        clock: Clock,
        limits: Limits,
        *,
        name: str,
        concurrency: int,
        secret: str = "",
    ) -> None:
        memory: KeyValue = NoMemory()
        self._connections = connections
        self._mailbox = AsyncioMailbox()
        self._transport = EventTransport(
            catalog.invocation,
            Surroundings(OutgoingClient, memory, run_logger, self._connection, NoFiles()),
            self._mailbox,
            limits,
        )
        self._catalog = catalog
        self._clock = clock
        self._limits = limits
        self._places = asyncio.Semaphore(concurrency)
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._numbers = 0
        self._under_way = 0
        self._has_ended = asyncio.Event()
        self._token = f"Bearer {secret}".encode() if secret else b""
        self.name = name
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
        """From now on calls are handed back (503); those under way have `grace_s` to be answered,
        and are handed back too when it is over.
        """
        if not self.is_stopping:
            self.is_stopping = True
            asyncio.get_running_loop().call_later(grace_s, self._has_ended.set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _live(receive, send)
            return
        if scope["path"] == "/healthz":
            reply = self._health()
        elif scope["method"] != "POST":
            reply = _problem(405, "", "Events of calls are sent here by POST.")
        else:
            reply = await self._take(scope, receive)
        headers = [
            ("content-type", reply.media),
            ("content-length", str(len(reply.body))),
            (WORKER_HEADER, self.name),
            *reply.headers,
        ]
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": reply.body})

    def _connection(self, name: str) -> Connection:
        connection = self._connections.get(name)
        if connection is None:
            raise LookupError(f"the home of this worker has no connection {name!r}: see --home")
        return connection

    def _health(self) -> Reply:
        health = {
            "status": "stopping" if self.is_stopping else "ok",
            "worker": self.name,
            "modules": [module.pinned for module in self._catalog],
            "under_way": self._under_way,
        }
        return Reply(503 if self.is_stopping else 200, ANSWER_MEDIA, msgspec.json.encode(health))

    async def _take(self, scope: Scope, receive: Receive) -> Reply:
        headers = dict(scope["headers"])
        if self._token and not compare_digest(headers.get(b"authorization", b""), self._token):
            return _problem(401, "", "This worker wants its secret as a bearer token.")
        sent = headers.get(b"content-type", b"").decode("latin-1")
        if sent.partition(";")[0].strip().lower() != EVENT_MEDIA:
            return _problem(415, "", f"An event of a call is sent as {EVENT_MEDIA}.")
        body = await _read(receive, self._limits.module_event_bytes)
        if body is None:
            most = self._limits.module_event_bytes
            return _problem(413, "limit", f"the event passes module_event_bytes ({most:,})")
        if self.is_stopping:
            return _handed_back()
        try:
            event = read_event(body)
            timeout_ms = parse_moment_ms(event.data.deadline) - parse_moment_ms(event.time)
        except (NotAnAnswer, DurationError) as wrong:
            return _problem(400, "", str(wrong))
        self._under_way += 1
        deadline = self._clock.now() + timeout_ms  # by this machine's clock
        try:
            async with asyncio.timeout(max(0, timeout_ms) / 1_000), self._places:
                return await self._answer(event.data, timeout_ms, deadline)
        except TimeoutError:
            return _problem(503, "retry", "there was no answer before the deadline")
        finally:
            self._under_way -= 1

    async def _answer(self, called: StepCall, timeout_ms: int, deadline: int) -> Reply:
        call = self._call_of(called, timeout_ms, deadline)
        answered = self._waiting[call.key] = asyncio.get_running_loop().create_future()
        ended = asyncio.ensure_future(self._has_ended.wait())
        try:
            self._transport.dispatch([call])
            await asyncio.wait({answered, ended}, return_when=asyncio.FIRST_COMPLETED)
            return _reply_of(answered.result()) if answered.done() else _handed_back()
        finally:
            ended.cancel()
            del self._waiting[call.key]

    def _call_of(self, called: StepCall, timeout_ms: int, deadline: int) -> Dispatched:
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
        call = Call(step, called.visit, called.attempt, called.input, deadline)
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


def _reply_of(answer: Answer) -> Reply:
    if isinstance(answer, Answered):
        return Reply(200, ANSWER_MEDIA, outcome_bytes(answer.result))
    kind, reason = answer.error.kind, answer.error.message
    if kind == "retry":
        after_s = None if answer.after_ms is None else answer.after_ms / 1_000
        return Reply(200, ANSWER_MEDIA, outcome_bytes(Retry(reason, after_s)))
    if kind == "reject":
        return Reply(200, ANSWER_MEDIA, outcome_bytes(Reject(reason)))
    return _problem(_STATUSES.get(kind, 500), kind, reason)


def _handed_back() -> Reply:
    reply = _problem(503, "retry", "this worker stops; its calls go to the next one")
    return msgspec.structs.replace(reply, headers=(("retry-after", "0"), ("connection", "close")))


def _problem(status: int, kind: str, detail: str) -> Reply:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "kind": kind}
    return Reply(status, PROBLEM_MEDIA, msgspec.json.encode(body))


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body; None where it is larger."""
    body = b""
    while True:
        message: Message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return body


async def _live(receive: Receive, send: Send) -> None:
    """The server's own start and stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
