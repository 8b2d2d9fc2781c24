"""The http transport: what is sent, and what a response means, whoever gives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from beltline.catalog.catalog import Binding, Catalog
from beltline.core.inputs import Answered, AttemptFailed, Deferred
from beltline.core.limits import PRODUCTION
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.egress.client import OutgoingClient
from beltline.engine.callbacks import Callbacks
from beltline.engine.contract import CalledConnection
from beltline.engine.ports import Dispatched
from beltline.engine.workers import Heard, Workers
from beltline.loop import AsyncioMailbox, SystemClock
from beltline.sdk import Config, Module, Output
from beltline.transports.http import HttpTransport, WorkerSurroundings
from tests.servers.asgi import served

KEY = b"k" * 16
RUN = "0198f2a0-0000-7000-8000-000000000001"
JSON = "application/json"
LIMITS = msgspec.structs.replace(PRODUCTION, module_answer_bytes=2_000, module_event_bytes=4_000)


class Found(Output):
    """What the module declares."""

    id: int
    title: Annotated[str, msgspec.Meta(max_length=20)] = ""


class Other:
    """Somebody at the other end who answers what a test says, and keeps what came."""

    def __init__(self, status: int, body: bytes | Any, media: str, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {"content-type": media} if media else {}
        self.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
        self.sent: list[tuple[dict[str, str], Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.sent.append((headers, json.loads(body)))
        raw = [(name.encode(), text.encode()) for name, text in self.headers.items()]
        start = {"type": "http.response.start", "status": self.status, "headers": raw}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


class Line:
    """A transport to one address."""

    def __init__(self, address: str, callbacks: Callbacks) -> None:
        self.clock = SystemClock()
        self.workers = Workers()
        declared: Module[Any, Any] = Module(
            name="find-deal",
            version=2,
            summary="",
            category="site",
            icon="",
            effect="idempotent",
            config=Config,
            output=Found,
            handler=None,
            examples=(),
        )
        bindings = {"find-deal": Binding(transport=address, secret="${SHOWN}")}
        catalog = Catalog([declared]).bound(bindings)
        self.mailbox = AsyncioMailbox()
        crm = CalledConnection("crm", "bitrix24", "https://example.org/rest/", "anna")
        client = OutgoingClient(
            body_bytes=LIMITS.module_event_bytes, answer_bytes=LIMITS.module_answer_bytes
        )
        secret = {"SHOWN": "s3cret"}.__getitem__
        around = WorkerSurroundings(client, {"crm": crm}.get, secret, callbacks, self.workers)
        self.transport = HttpTransport(catalog, around, self.mailbox, self.clock, LIMITS)

    async def call(self, input: Any = None, **step: Any) -> Any:
        """One call and its answer."""
        template, _ = compile_value({}, frozenset(), ())
        made = Step(
            "deal", "find-deal", "find-deal@2", "idempotent", template, transport="http", **step
        )
        call = Call(made, 3, 2, {"n": 1} if input is None else input, self.clock.now() + 30_000)
        self.dispatched = Dispatched(KEY, RUN, call)
        self.transport.dispatch([self.dispatched])
        [posted] = await self.mailbox.take(1)
        assert posted.key == KEY
        return posted.input


@asynccontextmanager
async def line(address: str, base: str = "http://hub.test") -> AsyncIterator[Line]:
    made = Line(address, Callbacks(b"key", base))
    try:
        yield made
    finally:
        await made.transport.close()


async def answered(
    status: int, body: Any, media: str = JSON, *, base: str = "http://hub.test", **headers: str
) -> Any:
    """What the belt hears where somebody answers so."""
    async with served(Other(status, body, media, **headers)) as url, line(url, base) as made:
        return await made.call()


async def failure(status: int, body: Any, media: str = JSON, **headers: str) -> tuple[Any, ...]:
    answer = await answered(status, body, media, **headers)
    assert isinstance(answer, AttemptFailed), answer
    assert (answer.step, answer.visit, answer.attempt) == ("deal", 3, 2)
    return answer.error.kind, answer.error.message, answer.final, answer.after_ms


async def test_the_event_is_a_cloud_event_with_all_that_a_worker_needs() -> None:
    other = Other(200, {"result": {"id": 7}}, JSON, beltline_worker="deals 1.4")
    async with served(other) as url, line(url + "/calls") as made:
        assert await made.call({"text": "Ёж"}, connection="crm") == Answered(
            "deal", 3, 2, {"id": 7, "title": ""}, 19
        )
        heard = made.workers.last("find-deal")
        assert isinstance(heard, Heard)
        assert heard.version == "deals 1.4"
    [(headers, event)] = other.sent
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["authorization"] == "Bearer s3cret"
    data = event.pop("data")
    assert set(event) == {
        "id", "source", "subject", "time", "specversion", "type", "datacontenttype",
    }  # fmt: skip
    assert (event["specversion"], event["type"]) == ("1.0", "beltline.step-started")
    assert (event["id"], event["source"]) == ("deal/3/2", f"/api/v1/runs/{RUN}")
    assert data["module"] == "find-deal@2"
    assert (data["run"], data["step"], data["visit"], data["attempt"]) == (RUN, "deal", 3, 2)
    assert data["input"] == {"text": "Ёж"}
    assert data["connection"] == {
        "name": "crm", "kind": "bitrix24", "address": "https://example.org/rest/", "user": "anna",
    }  # fmt: skip
    assert data["deadline"] > event["time"]
    assert data["callback"].startswith("http://hub.test/api/v1/events/answers?run=0198f2a0")


async def test_a_later_answer_is_told_as_deferred() -> None:
    assert await answered(202, b"", "") == Deferred("deal", 3, 2)


async def test_a_later_answer_needs_an_address_of_the_hub() -> None:
    refused = await answered(202, b"", "", base="")
    assert (refused.error.kind, refused.final) == ("transport", False)
    assert "[server] url" in refused.error.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"retry": {"reason": "busy", "after_s": 1.5}}, ("retry", "busy", False, 1_500)),
        ({"retry": {}}, ("retry", "", False, None)),
        ({"reject": {"reason": "no such deal"}}, ("reject", "no such deal", True, None)),
    ],
)
async def test_typed_answers(body: Any, expected: tuple[Any, ...]) -> None:
    assert await failure(200, body) == expected


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[" * 5_00 + b"]" * 5_00, "one key of result, retry, reject"),
        ([1], "one key of result, retry, reject"),
        ({}, "one key of result, retry, reject"),
        ({"result": {"id": 1}, "retry": {}}, "one key of result, retry, reject"),
        ({"resutl": 1}, "one key of result, retry, reject"),
        ({"retry": {"after": 3}}, "unknown field `after`"),
        ({"retry": {"after_s": -1}}, "zero or more seconds"),
        ({"result": {"id": "7"}}, "what find-deal@2 declares"),
        ({"result": {"id": 7, "title": "x" * 21}}, "what find-deal@2 declares"),
    ],
)
async def test_what_is_no_answer_is_told_and_not_tried_again(body: Any, says: str) -> None:
    kind, text, final, _ = await failure(200, body)
    assert (kind, final) == ("result", True)
    assert says in text


async def test_an_answer_that_is_too_large_is_not_read() -> None:
    body = {"result": {"id": 7, "title": "x" * 3_000}}
    kind, text, final, _ = await failure(200, body)
    assert (kind, final) == ("limit", True)
    assert "module_answer_bytes" in text


async def test_a_page_of_a_proxy_is_no_answer_and_is_tried_again() -> None:
    kind, text, final, _ = await failure(200, b"<h1>Sorry</h1>", "text/html; charset=utf-8")
    assert (kind, final) == ("transport", False)
    assert "application/json" in text
    assert "Sorry" not in text


@pytest.mark.parametrize(
    ("status", "kind", "final"),
    [
        (201, "transport", True),
        (204, "transport", True),
        (302, "transport", True),
        (400, "reject", True),
        (401, "reject", True),
        (403, "reject", True),
        (404, "module", False),
        (408, "retry", False),
        (409, "retry", False),
        (413, "limit", True),
        (422, "input", True),
        (425, "retry", False),
        (429, "retry", False),
        (500, "exception", False),
        (501, "transport", False),
        (502, "transport", False),
        (503, "retry", False),
        (504, "transport", False),
    ],
)
async def test_a_status_says_what_follows(status: int, kind: str, final: bool) -> None:
    body = b"" if status == 204 else b"in words"
    given = await failure(status, body, "text/plain", location="http://127.0.0.1:1/")
    text = f"the worker answered {status}" + (": in words" if body else "")
    assert given == (kind, text, final, None)


@pytest.mark.parametrize("status", [429, 503, 502])
async def test_retry_after_is_heeded(status: int) -> None:
    assert (await failure(status, b"", "", retry_after="7"))[3] == 7_000
    told = {"retry": {"reason": "later"}}
    assert await failure(status, told, retry_after="7") == ("retry", "later", False, 7_000)
    sooner = {"retry": {"reason": "later", "after_s": 2}}
    assert (await failure(status, sooner, retry_after="7"))[3] == 2_000


async def test_a_problem_gives_its_reason_and_may_name_the_kind() -> None:
    media = "application/problem+json"
    problem = {"title": "Bad", "detail": "no phone"}
    assert await failure(400, problem, media) == ("reject", "no phone", True, None)
    assert await failure(400, {"title": "Bad"}, media) == (
        "reject", "the worker answered 400: Bad", True, None,
    )  # fmt: skip
    named = {"detail": "half a result", "kind": "result"}
    assert await failure(500, named, media) == ("result", "half a result", True, None)
    strange = {"detail": "half a result", "kind": "crash"}
    assert await failure(500, strange, media) == ("exception", "half a result", False, None)
    assert (await failure(500, b"{", media))[:2] == ("exception", "the worker answered 500")


async def test_a_result_beside_an_error_is_no_result() -> None:
    assert (await failure(500, {"result": {"id": 7}}))[0] == "exception"
    assert await failure(400, {"reject": {"reason": "no"}}) == ("reject", "no", True, None)


async def test_parameters_that_are_too_large_are_not_sent() -> None:
    other = Other(200, {"result": {"id": 7}}, JSON)
    async with served(other) as url, line(url) as made:
        refused = await made.call({"text": "x" * 5_000})
    assert (refused.error.kind, refused.final, other.sent) == ("limit", True, [])
    assert "module_event_bytes" in refused.error.message


async def test_connections_are_used_again() -> None:
    ports: set[int] = set()
    inner = Other(200, {"result": {"id": 7}}, JSON)

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            ports.add(scope["client"][1])
        await inner(scope, receive, send)

    async with served(counting) as url, line(url) as made:
        for _ in range(5):
            assert isinstance(await made.call(), Answered)
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("address", "says", "final"),
    [
        ("http://127.0.0.1:9/", "no connection to http://127.0.0.1:9", False),
        ("http://169.254.169.254/", "the metadata service of the cloud", True),
    ],
)
async def test_where_nobody_is_and_where_nobody_may_be(
    address: str, says: str, final: bool
) -> None:
    async with line(address) as made:
        refused = await made.call()
    assert (refused.error.kind, refused.final) == ("transport", final)
    assert says in refused.error.message


@pytest.mark.parametrize(
    ("address", "reached"), [("http://127.0.0.1:9/", "no"), ("http://169.254.169.254/", "")]
)
async def test_the_dispatcher_hears_that_nobody_was_there(address: str, reached: str) -> None:
    async with line(address) as made:
        await made.call()
    assert made.dispatched.reached == reached
    assert bool(made.dispatched.trouble) == (reached == "no")


@pytest.mark.parametrize(
    ("status", "media", "headers", "reached"),
    [
        (200, JSON, {}, "yes"),
        (500, "text/plain", {}, "yes"),
        (502, "text/html", {}, "away"),
        (503, "", {}, "away"),
        (503, "application/problem+json", {}, "yes"),
        (504, "text/plain", {"beltline_worker": "deals/1"}, "yes"),
    ],
)
async def test_the_dispatcher_hears_who_answered(
    status: int, media: str, headers: dict[str, str], reached: str
) -> None:
    async with served(Other(status, {}, media, **headers)) as url, line(url) as made:
        await made.call()
    assert made.dispatched.reached == reached
    assert made.dispatched.requests == 1


async def test_an_answer_that_is_too_large_came_from_somebody() -> None:
    async with served(Other(200, b"x" * 3_000, JSON)) as url, line(url) as made:
        await made.call()
    assert made.dispatched.reached == "yes"


async def test_a_way_that_breaks_is_no_outage() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, line(f"http://127.0.0.1:{port}/") as made:
        failed = await made.call()
    assert (failed.error.kind, failed.final) == ("transport", False)
    assert made.dispatched.reached == "broken"
