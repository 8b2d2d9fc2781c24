"""A portal in a test: its clock, and a caller that speaks ASGI to it without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import Message

from bitrix24_portal import Portal, PortalSettings, create_app
from bitrix24_portal.app import PortalApp
from bitrix24_portal.faults import Faults

START = 1_790_000_000.0


class VirtualClock:
    """Time that only moves when a test or a fault moves it."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds


@dataclass(frozen=True)
class Reply:
    """What came back over ASGI."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class Stand:
    """One portal under test. `call` gives the envelope, `result` its result."""

    app: PortalApp
    clock: VirtualClock
    address: str = "10.0.0.1"
    root: str = "/rest/1/local"

    @property
    def portal(self) -> Portal:
        return self.app.portal

    @property
    def faults(self) -> Faults:
        return self.app.portal.faults

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; raises what the application raises."""
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
            ],
            "client": (self.address, 40_000),
            "server": ("127.0.0.1", 8600),
            "state": {},
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        outgoing: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            outgoing.append(message)

        await self.app(scope, receive, send)
        started = outgoing[0]
        return Reply(
            int(started["status"]),
            {name.decode().lower(): value.decode() for name, value in started["headers"]},
            b"".join(message.get("body", b"") for message in outgoing[1:]).decode(),
        )

    async def ask(self, method: str, params: Mapping[str, Any] | None = None) -> Reply:
        """One REST call with a JSON body."""
        body = json.dumps(params or {}).encode()
        return await self.send(
            "POST", f"{self.root}/{method}", body, {"content-type": "application/json"}
        )

    async def ask_form(self, method: str, pairs: list[tuple[str, str]]) -> Reply:
        """One REST call with a form body."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await self.send("POST", f"{self.root}/{method}", urlencode(pairs).encode(), kind)

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """The envelope of a call that must succeed."""
        reply = await self.ask(method, params)
        assert reply.status == 200, reply.text
        return reply.body

    async def result(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """The result of a call that must succeed."""
        return (await self.call(method, params))["result"]

    async def refusal(
        self, method: str, params: Mapping[str, Any] | None = None
    ) -> tuple[int, str, str]:
        """Status, code and description of a call that must be refused."""
        reply = await self.ask(method, params)
        assert set(reply.body) == {"error", "error_description"}, reply.text
        return reply.status, reply.body["error"], reply.body["error_description"]

    async def add(self, entity: str, **fields: Any) -> int:
        """Adds an element by the older methods and gives its id."""
        return int(await self.result(f"crm.{entity}.add", {"fields": fields}))


def make_stand(data: Path, **settings: Any) -> Stand:
    """A stand over a file; without a rate limit unless one is given."""
    clock = VirtualClock()
    given = {"rate_per_s": 0.0, **settings}
    portal = Portal(PortalSettings(data=data, **given), clock=clock)
    return Stand(create_app(portal), clock)
