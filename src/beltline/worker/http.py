"""A worker: a file of modules served over HTTP, for hubs that bind names to its address.

POST /         an event of a call ──> WorkerCalls ──> the answer, or a problem
GET  /healthz  who this is, its modules, what is under way; 503 while it stops
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from hmac import compare_digest
from http import HTTPStatus

import msgspec
from starlette.types import Message, Receive, Scope, Send

from beltline.catalog.catalog import Catalog
from beltline.connections import Connections
from beltline.core.duration import DurationError, parse_moment_ms
from beltline.core.inputs import Answer
from beltline.core.limits import Limits
from beltline.engine.contract import (
    ANSWER_MEDIA,
    EVENT_MEDIA,
    PROBLEM_MEDIA,
    WORKER_HEADER,
    NotAnAnswer,
    read_event,
)
from beltline.engine.ports import Clock
from beltline.worker.calls import Problem, WorkerCalls, told_answer

_STATUSES = {"input": 422, "module": 404}


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
        self._calls = WorkerCalls(catalog, connections, limits)
        self._catalog = catalog
        self._clock = clock
        self._limits = limits
        self._places = asyncio.Semaphore(concurrency)
        self._under_way = 0
        self._token = f"Bearer {secret}".encode() if secret else b""
        self.name = name

    def running(self) -> AbstractAsyncContextManager[None]:
        """Answers calls until the block ends; handlers that still run then are cancelled."""
        return self._calls.running()

    def stop(self, grace_s: float) -> None:
        """From now on calls are handed back (503); those under way have `grace_s` to be answered,
        and are handed back too when it is over.
        """
        self._calls.stop(grace_s)

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

    def _health(self) -> Reply:
        is_stopping = self._calls.is_stopping
        health = {
            "status": "stopping" if is_stopping else "ok",
            "worker": self.name,
            "modules": [module.pinned for module in self._catalog],
            "under_way": self._under_way,
        }
        return Reply(503 if is_stopping else 200, ANSWER_MEDIA, msgspec.json.encode(health))

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
        if self._calls.is_stopping:
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
                answer = await self._calls.answer(event.data, timeout_ms, deadline)
                return _handed_back() if answer is None else _reply_of(answer)
        except TimeoutError:
            return _problem(503, "retry", "there was no answer before the deadline")
        finally:
            self._under_way -= 1


def _reply_of(answer: Answer) -> Reply:
    told = told_answer(answer)
    if isinstance(told, Problem):
        return _problem(_STATUSES.get(told.kind, 500), told.kind, told.detail)
    return Reply(200, ANSWER_MEDIA, told)


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
