"""A source of the kind `bitrix24` before the stand-in portal, in one process: looks when the test
asks for them, a clock of the portal that the test sets.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from beltline.core.limits import PRODUCTION
from beltline.sdk import Connection, HttpFailed, HttpResponse
from beltline.sources.bitrix24.events import PortalEvent, read_event
from beltline.sources.bitrix24.rings import Asked
from tests.integration.bitrix24_portal.stand import Stand
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking, connection_of


class PortalHttp:
    """The outgoing client, straight into a portal. `calls` are the REST calls that were made;
    `before` is awaited before each.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[], Awaitable[None]] | None = None

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
        """One call of the portal."""
        path = urlsplit(url).path
        asked = json.loads(body or b"{}")
        self.calls.append((path.rpartition("/")[2].removesuffix(".json"), asked))
        if self.before is not None:
            await self.before()
        try:
            reply = await self._stand.send(method, path, body or b"", headers)
        except ConnectionAbortedError:
            raise HttpFailed("the connection broke") from None
        return HttpResponse(reply.status, dict(reply.headers), reply.text.encode())


class PortalSource:
    """The source `crm`, and the portal that it looks at."""

    def __init__(self, stage: Stage, stand: Stand, home: Path, rest: str) -> None:
        head = "source: crm\nkind: bitrix24\nprocess: lead\nconnection: crm\nevery: 5m\n"
        self.stand = stand
        self.http = PortalHttp(stand)
        account = connection_of("crm", "http://portal.example/rest/1/", secret="local")
        self.looking = Looking(stage, head + rest, home, account, http=self.http)

    @property
    def feed(self) -> Any:
        """The feed itself."""
        return self.looking.feed

    async def pass_s(self, seconds: float = 1.0) -> None:
        """Time passes in the portal."""
        await self.stand.clock.sleep(seconds)

    async def look(self, *kinds: str, after_s: float = 1.0) -> None:
        """A whole look, or one at `kinds` that were rung for; by then the second of whatever was
        changed before is over.
        """
        await self.pass_s(after_s)
        await self.feed._look(Asked(not kinds, dict.fromkeys(kinds)))

    async def told(self) -> list[str]:
        """What was brought, the oldest first: `lead.add 7`."""
        return [f"{one['event']} {one['id']}" for one in await self.looking.bodies()]

    async def update(self, id: int, title: str, entity: str = "lead") -> None:
        """Changes a record."""
        given = {"id": id, "fields": {"TITLE": title}}
        await self.stand.result(f"crm.{entity}.update", given)


def event(name: str, id: int | None, ts: int = 1_790_000_000, **fields: Any) -> PortalEvent:
    """An event as its form is read."""
    pairs = [("event", name), ("ts", str(ts))]
    pairs += [("data[FIELDS][ID]", str(id))] if id is not None else []
    pairs += [(f"data[FIELDS][{key}]", str(value)) for key, value in fields.items()]
    return read_event(urlencode(pairs).encode(), PRODUCTION)
