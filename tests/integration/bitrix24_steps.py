"""Steps of the Bitrix24 modules against the stand-in portal, over HTTP and the outgoing client.

Every call that a module makes is also held against the vendor's published contract of its method,
where the folder with the contracts lies beside the repository.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from beltline.catalog.catalog import Catalog
from beltline.egress.client import OutgoingClient
from beltline.sdk import Connection, HttpResponse, Reject, Retry, Secret
from beltline.sdk.bitrix24 import KIND
from beltline.sdk.testing import given
from bitrix24_portal import Portal, PortalSettings, create_app
from tests.integration.bitrix24_contracts import check_against_contracts
from tests.unit.catalog.shipped import SHIPPED

MODULES = [module for module in SHIPPED.values() if module.connection == KIND]
CATALOG = Catalog(MODULES)
SECRET = "w3bh00k"


class RecordingClient:
    """The outgoing client, and each REST call that went through it as (method, parameters)."""

    def __init__(self, inner: OutgoingClient) -> None:
        self._inner = inner
        self.calls: list[tuple[str, dict[str, Any]]] = []

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
        """Sends the request on."""
        name = url.rpartition("/")[2].removesuffix(".json")
        self.calls.append((name, json.loads(body or b"{}")))
        return await self._inner.request(
            method, url, headers=headers, body=body, timeout_s=timeout_s, connection=connection
        )


class Stand:
    """A portal on loopback, and steps that are carried out against it."""

    def __init__(self, portal: Portal, client: RecordingClient, port: int) -> None:
        self.portal = portal
        self.client = client
        self.connection = Connection(
            name="crm",
            kind="bitrix24",
            address=f"http://127.0.0.1:{port}/rest/1/",
            secret=Secret(SECRET),
            options={"private_addresses": "allow"},
        )

    async def step(
        self,
        name: str,
        params: dict[str, Any],
        *,
        run: str = "run-1",
        attempt: int = 1,
        connection: Connection | None = None,
    ) -> Any:
        """What the step answers: its result as JSON data, a `Retry` or a `Reject`."""
        invocation = CATALOG.invocation(f"bitrix24.{name}@1")
        assert invocation is not None
        context = given(run=run, attempt=attempt, connection=connection or self.connection)
        context.http = self.client
        handler: Any = invocation.module.handler
        answer = await handler(invocation.decode(params), context)
        if isinstance(answer, Retry | Reject):
            return answer
        assert invocation.fits(answer)
        return msgspec.to_builtins(answer)

    async def count(self, entity_type_id: int) -> int:
        """How many leads (1), deals (2) or contacts (3) there are."""
        params = {"method": "crm.item.list", "params": {"entityTypeId": entity_type_id}}
        return int((await self.step("call", params))["total"])

    async def add_deal(self, contact: str, **fields: Any) -> str:
        """A deal of the contact."""
        params = {"fields": {"TITLE": "Deal", "CONTACT_ID": int(contact), **fields}}
        added = await self.step("call", {"method": "crm.deal.add", "params": params})
        return str(added["result"])


@asynccontextmanager
async def open_stand(data: Path) -> AsyncIterator[Stand]:
    """A portal over a file; at the end every call is held against the contracts."""
    settings = PortalSettings(data=data, secret=SECRET, rate_per_s=0.0)
    portal = Portal(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(portal), log_level="critical", access_log=False, lifespan="on", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    async with OutgoingClient() as client:
        recording = RecordingClient(client)
        yield Stand(portal, recording, listening.getsockname()[1])
    server.should_exit = True
    await serving
    check_against_contracts(recording.calls)
