"""The transport that the engine sees: each step goes by the one that is configured for its module.

    dispatch ──> Router ──> event: handlers in this process
                       ├──> http:  workers at addresses
                       └──> queue: workers behind brokers

Which one that is a step says as it is configured now, not as it was when its process was published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from beltline.core.inputs import Answer
from beltline.engine.ports import Dispatched, Transport


class Stoppable(Transport, Protocol):
    """A transport that can be brought to its end."""

    def under_way(self) -> int:
        """How many calls have no answer yet."""
        ...

    async def idle(self) -> None:
        """Waits until every call has its answer."""
        ...

    async def close(self) -> None:
        """Ends; calls that are under way get no answer."""
        ...


class Router:
    """Fulfils `engine.ports.Transport` over others, by the names that steps give them."""

    def __init__(self, transports: Mapping[str, Stoppable]) -> None:
        self._transports = dict(transports)

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Hands calls to their transports, in order."""
        by_name: dict[str, list[Dispatched]] = {}
        for call in calls:
            by_name.setdefault(call.call.step.transport, []).append(call)
        for name, those in by_name.items():
            self._transports[name].dispatch(those)

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """Hands calls of one module over together, where its transport can."""
        self._transports[calls[0].call.step.transport].dispatch_batch(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        """Runs a pure handler, which is one of this process."""
        return self._transports["event"].call_inline(call)

    def under_way(self) -> int:
        """How many calls have no answer yet."""
        return sum(transport.under_way() for transport in self._transports.values())

    async def idle(self) -> None:
        """Waits until every call has its answer."""
        await asyncio.gather(*(transport.idle() for transport in self._transports.values()))

    async def close(self) -> None:
        """Ends them all."""
        for transport in self._transports.values():
            await transport.close()
