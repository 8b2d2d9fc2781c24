"""What the API is given: the parts of a running hub, made elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from beltline.api.problem import Problem
from beltline.catalog.catalog import Catalog
from beltline.catalog.connection_tests import Examination
from beltline.core.limits import Limits
from beltline.definition.connection import ConnectionFile
from beltline.definition.source import Source
from beltline.engine.attachments import BlobStore
from beltline.engine.buffers import Buffers
from beltline.engine.callbacks import Callbacks
from beltline.engine.fresh import Fresh
from beltline.engine.held_counts import HeldCounts
from beltline.engine.node import Node
from beltline.engine.ports import Clock, Store
from beltline.engine.processes import ProcessBook
from beltline.engine.records import TokenRecord
from beltline.engine.vault import Vault
from beltline.engine.verdicts import Verdicts
from beltline.engine.workers import Workers
from beltline.sources.door import Door
from beltline.sources.feeding import Feeds
from beltline.sources.firing import Firing
from beltline.sources.headers import Headers, shown_headers
from beltline.sources.notes import Came, Notes
from beltline.sources.reception import Reception
from beltline.sources.refusal import RequestRefused


@dataclass(slots=True)
class Counters:
    """What the API itself counts, for the metrics: answers of the intake by status."""

    intake_answers: dict[int, int] = field(default_factory=dict)

    def count_intake(self, status: int) -> None:
        """One more answer."""
        self.intake_answers[status] = self.intake_answers.get(status, 0) + 1


@dataclass(frozen=True)
class Hub:
    """A running hub as the API sees it.

    `sources` and `connections` may be changed while it runs. `secret` gives the value that a
    source's `${NAME}` stands for, None where it is not set. `blobs` keeps the files of requests,
    `feeds` are those of this node, `verdicts` keeps what became of requests that start nothing,
    `callbacks` knows the addresses of later answers, `workers` who answered last. `source_states`
    tells which sources a person has paused, `reception` takes requests in, `held_counts` tells how
    many wait, `vault` keeps secrets. `test_connection` connects by the named one; it raises
    `LookupError` and `NoTest`. `link_key` signs the links of approvals; None: there are none.
    """

    node: Node
    store: Store
    processes: ProcessBook
    sources: Mapping[str, Source]
    connections: Mapping[str, ConnectionFile]
    catalog: Catalog
    clock: Clock
    limits: Limits
    secret: Callable[[str], str | None]
    blobs: BlobStore
    feeds: Feeds
    verdicts: Verdicts
    callbacks: Callbacks
    workers: Workers
    source_states: Fresh[dict[str, str]]
    reception: Reception
    held_counts: HeldCounts
    notes: Notes
    vault: Vault
    test_connection: Callable[[str], Awaitable[Examination]]
    link_key: bytes | None = None
    counters: Counters = field(default_factory=Counters)
    tokens: Fresh[dict[bytes, TokenRecord]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", Fresh(self._load_tokens, self.clock))

    def door(self, source: Source, *, is_bounded: bool = True) -> Door:
        """The door by which requests of a source come in that no sender brings to `/in/`. Unless it
        is bounded they come in whatever its backlog holds.
        """
        return Door(
            source,
            self.reception,
            self.firing(source),
            self.store,
            self.clock,
            self.notes,
            self.limits,
            is_bounded=is_bounded,
        )

    def firing(self, source: Source) -> Firing:
        """What brings the requests of a schedule at its times, and by hand."""
        reception = self.reception
        new_key, holds = reception.new_key, reception.holds_back
        return Firing(source, self.store, new_key, self.processes.newest, holds, self.limits)

    def buffers(self) -> Buffers:
        """The buffers of the sources as they are now."""
        return Buffers(self.store, self.processes, self.clock, self.sources, self.held_counts)

    def note_refused(self, source: Source, headers: Headers, why: RequestRefused | Problem) -> None:
        """Has it seen that something was refused, of which nothing is kept but its headers."""
        if self.notes.take_slot(source.name):
            kept, names = shown_headers(headers, (), self.limits.request_header_bytes)
            came = Came({"headers": kept, "headers_not_kept": names})
            key, _ = self.reception.new_key()
            self.notes.refused(source.name, key, came, why.status, why.kind, str(why))

    def wake_runs(self) -> None:
        """Runs may have become ready, and messages may wait: the loader is to look now."""
        self.node.wake_runs()

    def look_at_buffers(self) -> None:
        """A person has changed something about a source: what may go now goes now."""
        self.source_states.forget()
        self.node.releaser.ring()
        self.wake_runs()

    async def _load_tokens(self) -> dict[bytes, TokenRecord]:
        return {token.hash: token for token in await self.store.tokens()}
