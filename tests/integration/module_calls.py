"""Modules called as a lane calls them: with clients that are kept from call to call."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.sdk import Connection, Context, Reject, Retry
from beltline.sdk.testing import BOUNDS, Files, Lines, Memory, PreparedHttp
from beltline.transports.kept_clients import KeptClients
from tests.unit.catalog.shipped import SHIPPED


class Calls:
    """Calls modules by their names, and keeps their clients."""

    def __init__(self) -> None:
        self.clients = KeptClients()
        self.files = Files()

    async def __call__(
        self, name: str, account: Connection | None, *, run: str = "run-1", **config: Any
    ) -> Any:
        """The result as JSON data, a `Retry` or a `Reject`."""
        module = SHIPPED[name.replace("-", "_")]
        context = Context(
            *(run, "step-1", 1, 1, 0, account),
            *(PreparedHttp(), Memory(), lambda run, step: Lines(), self.files, BOUNDS),
            clients=self.clients,
        )
        handler: Any = module.handler
        answer = await handler(msgspec.convert(config, module.config), context)
        return answer if isinstance(answer, Retry | Reject) else msgspec.to_builtins(answer)

    def opened(self) -> list[Any]:
        """The clients that are kept now."""
        return [one.opening for several in self.clients._kept.values() for one in several]

    async def close(self) -> None:
        """Closes the clients."""
        await self.clients.close()
