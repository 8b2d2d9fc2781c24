"""What a handler is given, in memory: a client with prepared answers, a store, a log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from beltline.sdk import Connection, Context, HttpFailed, HttpResponse, Secret
from beltline.sdk.context import idempotency_key


class Sent(msgspec.Struct, frozen=True):
    """One request that a handler sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float
    connection: Connection | None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body or b"null")

    @property
    def rest_method(self) -> str:
        """The Bitrix24 method of the URL."""
        return urlsplit(self.url).path.rpartition("/")[2].removesuffix(".json")


class PreparedHttp:
    """Gives the prepared answers one after another, and keeps what was sent."""

    def __init__(self, *answers: HttpResponse | HttpFailed) -> None:
        self.answers = list(answers)
        self.sent: list[Sent] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """The next prepared answer."""
        self.sent.append(Sent(method, url, dict(headers or {}), body, timeout_s, connection))
        answer = self.answers.pop(0)
        if isinstance(answer, HttpFailed):
            raise answer
        return answer


class Memory:
    """A key-value store in memory; it keeps the times to live, and lets nothing expire."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}
        self.ttls: dict[tuple[str, str], float | None] = {}

    async def get(self, space: str, key: str) -> Any | None:
        """The value, or None."""
        return self.values.get((space, key))

    async def put(self, space: str, key: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Sets the value."""
        self.values[space, key] = value
        self.ttls[space, key] = ttl_s

    async def delete(self, space: str, key: str) -> bool:
        """Removes the value."""
        return self.values.pop((space, key), None) is not None


class Lines:
    """A log as a list of (level, message, fields)."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keeps the line."""
        self.written.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keeps the line."""
        self.written.append(("warning", event, fields))


KEY = idempotency_key("run-1", "step-1", 1)
CRM = Connection(
    name="crm",
    kind="bitrix24",
    address="https://portal.example/rest/1/",
    secret=Secret("w3bh00k"),
)


def context(
    http: PreparedHttp | None = None,
    *,
    memory: Memory | None = None,
    log: Lines | None = None,
    connection: Connection | None = None,
    attempt: int = 1,
) -> Context:
    """The context of one attempt; what is not given stays empty."""
    return Context(
        run="run-1",
        step="step-1",
        visit=1,
        attempt=attempt,
        deadline_ms=0,
        connection=connection,
        http=http or PreparedHttp(),
        memory=memory or Memory(),
        log=lambda run, step: log or Lines(),
    )


def answered(status: int = 200, body: Any = None, **headers: str) -> HttpResponse:
    """An answer whose body is JSON, unless bytes are given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "application/json", **names}, raw)


def portal(result: Any, **more: Any) -> HttpResponse:
    """A Bitrix24 answer with this result."""
    return answered(200, {"result": result, **more})
