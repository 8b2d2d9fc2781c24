"""Feeds on a stage: a real store and node, a clock that the test sets, looks when it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from beltline.core.limits import PRODUCTION, Limits
from beltline.definition.source import Source, read_source
from beltline.egress.client import OutgoingClient
from beltline.engine.ids import id_of
from beltline.engine.records import RunFilter
from beltline.engine.verdict_store import Verdict, VerdictFilter
from beltline.loop import AsyncioBell
from beltline.sdk import Connection, Http, Secret
from beltline.sources.door import Door
from beltline.sources.feeds import feed_of
from beltline.sources.surroundings import Surroundings
from tests.unit.api.stage import Stage


def source_of(text: str) -> Source:
    """A source from the text of its file."""
    checked = read_source(text, name=None, file="source.yaml", processes=None)
    assert checked.source is not None, checked.findings
    return checked.source


def connection_of(name: str, address: str, user: str = "", secret: str = "") -> Connection:
    """A connection that may stand in the hub's own network."""
    options = {"private_addresses": "allow", "user": user}
    return Connection(name, "any", address, Secret(secret) if secret else None, options)


class Looking:
    """A source whose looks the test asks for. `again` is the next start of the hub."""

    def __init__(
        self,
        stage: Stage,
        text: str,
        home: Path,
        *connections: Connection,
        http: Http | None = None,
        limits: Limits = PRODUCTION,
    ) -> None:
        self.stage = stage
        self.source = source_of(text)
        self.home = home
        self.connections = {one.name: one for one in connections}
        self.http = http or OutgoingClient()
        self.limits = limits
        self.again()

    def again(self) -> None:
        """The feed as a start makes it."""
        hub = self.stage.hub
        self.door = Door(
            self.source,
            hub.reception,
            hub.firing(self.source),
            self.stage.store,
            self.stage.clock,
            hub.notes,
            self.limits,
        )
        around = Surroundings(
            home=self.home,
            clock=self.stage.clock,
            new_bell=lambda: AsyncioBell(self.stage.clock),
            connection=self._connection,
            http=self.http,
            limits=self.limits,
            wake_runs=hub.wake_runs,
            blobs=hub.blobs,
            node="this node",
        )
        feed: Any = feed_of(self.source, self.door, around)
        self.feed = feed

    def _connection(self, name: str) -> Connection | None:
        found = self.connections.get(name)
        return None if found is None else found.below(self.home)

    async def look(self) -> None:
        """One look, now."""
        await self.feed._look()

    async def pass_ms(self, ms: int) -> None:
        """Time passes."""
        self.stage.clock.time += ms

    async def requests(self) -> list[dict[str, Any]]:
        """All that was brought, the oldest first: `{request, meta}`."""
        records = await self.stage.store.runs(RunFilter(source=self.source.name), 1_000)
        found = []
        for record in reversed(records):
            _, stored = await self.stage.store.run(record.key)
            assert stored is not None, id_of(record.key)
            found.append(
                {
                    "request": msgspec.json.decode(stored.body),
                    "meta": msgspec.json.decode(stored.meta),
                }
            )
        return found

    async def bodies(self) -> list[Any]:
        """The requests that were brought, the oldest first."""
        return [one["request"] for one in await self.requests()]

    async def bodies_held(self) -> int:
        """How many requests wait in the source's buffer."""
        held = (await self.stage.store.held(self.source.name)).get(self.source.name)
        return 0 if held is None else held.number

    async def verdicts(self) -> list[Verdict]:
        """What is kept of what was refused, the newest first."""
        await self.stage.hub.verdicts.keep()
        store = self.stage.store
        kept = await store.verdicts(VerdictFilter(self.source.name), 1_000)
        return [await store.verdict(one.key) for one in kept]
