"""Nodes that do everything at once on one store: nobody meets an error, and the sums are right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from beltline.engine.ports import Store
from beltline.engine.records import Acceptance, Batch, JournalRow, NewRun, RunChange
from tests.conformance.conftest import Nodes
from tests.conformance.store_rows import (
    ANY_SIZE,
    VERSION,
    held,
    key,
    new_request,
    release,
    started,
)

TURNS = 800  # of each node
LEADS = 40  # identities
HOUR_MS = 3_600_000


class Book:
    """What the nodes were told, kept by the test: whose each run is, and what must be there."""

    def __init__(self) -> None:
        self.number = 0
        self.owner: dict[bytes, Store] = {}
        self.entries: dict[bytes, list[bytes]] = {}
        self.winners: Counter[str] = Counter()
        self.held = 0
        self.released = 0
        self.posted: set[int] = set()
        self.decided: set[int] = set()
        self.granted = 0
        self.fired: Counter[int] = Counter()

    def next_number(self) -> int:
        """The number of another request."""
        self.number += 1
        return self.number


class Worker:
    """One node and what it does, drawn from a seed."""

    def __init__(self, store: Store, book: Book, seed: int) -> None:
        self.store = store
        self.book = book
        self.chance = Random(f"worker {seed}")
        self.messages: dict[bytes, list[int]] = {}

    async def work(self) -> None:
        """All turns."""
        turns: list[Callable[[], Awaitable[None]]] = [
            *[self.accept] * 4,
            *[self.decide] * 6,
            *[self.claim] * 4,
            *[self.post] * 3,
            self.release,
            self.share,
            self.look_after,
        ]
        for _ in range(TURNS):
            await self.chance.choice(turns)()

    async def accept(self) -> None:
        """Requests under identities that others use too, and one that is held."""
        names = self.chance.choices(range(LEADS), k=5)
        leads = [
            new_request(
                self.book.next_number(), identity=f"lead {name}", identity_until=9_000 + name
            )
            for name in names
        ]
        batch = Batch([*map(started, leads), held(self.book.next_number())])
        answers = await self.store.commit(batch)
        assert answers.pop() is None
        self.book.held += 1
        for request, repeat in zip(leads, answers, strict=True):
            if repeat is None:
                self.book.winners[request.identity or ""] += 1
                self.take(request.key, [b"entry 0"])

    def take(self, key: bytes, entries: list[bytes]) -> None:
        """A run is this node's now."""
        assert key not in self.book.owner
        assert entries == self.book.entries.setdefault(key, entries)
        self.book.owner[key] = self.store

    async def decide(self) -> None:
        """Decisions on some runs; most are let go of, some have ended."""
        own = [key for key, owner in self.book.owner.items() if owner is self.store]
        batch = Batch([], [], [], [])
        for each in self.chance.sample(own, min(3, len(own))):
            entries = self.book.entries[each]
            entries.append(b"decision %d" % len(entries))
            batch.journal.append(JournalRow(each, len(entries) - 1, entries[-1]))
            batch.messages_done += self.messages.pop(each, [])
            status = self.chance.choice(("waiting", "waiting", "completed", "moving"))
            is_kept = status == "moving"
            at = 5 if status == "waiting" else None
            batch.changes.append(RunChange(each, status, at, is_kept))  # type: ignore[arg-type]
            if not is_kept:
                del self.book.owner[each]
        self.book.decided.update(batch.messages_done)
        await self.store.commit(batch)

    async def claim(self) -> None:
        """Takes some runs."""
        claimed = await self.store.claim(10, 6, crashes=0, max_bytes=ANY_SIZE)
        for run in claimed.runs:
            self.take(run.key, run.entries)
            self.messages[run.key] = [message.id for message in run.messages]

    async def post(self) -> None:
        """A message for any run, whoever moves it."""
        if self.book.entries:
            which = self.chance.choice(sorted(self.book.entries))
            self.book.posted.add(await self.store.post(which, b"hello", 5))

    async def release(self) -> None:
        """Lets some requests out of the buffer."""
        released = await release(self.store, 3)  # others count meanwhile
        self.book.released += released

    async def share(self) -> None:
        """What is counted and fired for all."""
        allowance = await self.store.allow("portal", 7, 100, HOUR_MS)
        self.book.granted += allowance.granted
        number, due_at = self.book.next_number(), self.chance.randint(1, 30)
        request = new_request(number)
        made = Acceptance(request, NewRun(request.key, VERSION, "waiting", 5, owned=False))
        if await self.store.fire("nightly", due_at, made):
            self.book.fired[due_at] += 1
            # Its run may have been claimed before this is told, by whoever looked first.
            self.book.entries.setdefault(request.key, [])

    async def look_after(self) -> None:
        """What a node does beside the belt."""
        assert (await self.store.beat()).recovered == 0
        await self.store.purge_identities(8_000, 10)
        await self.store.purge_values(8_000, 10)
        await self.store.tend()
        await self.store.next_ready_at()


@pytest.mark.slow
async def test_nodes_that_do_everything_at_once(nodes: Nodes) -> None:
    book = Book()
    workers = [Worker(store, book, seed) for seed, store in enumerate(nodes)]
    async with asyncio.timeout(50):
        await asyncio.gather(*(worker.work() for worker in workers))
        counts = await nodes[0].counts()
        assert counts["owned"] == len(book.owner)
        assert counts["held"] == book.held - book.released
        assert set(book.winners.values()) == {1}
        assert book.granted == 100
        assert set(book.fired.values()) == {1}
        for worker in workers:
            assert await worker.store.hand_over() == sum(
                owner is worker.store for owner in book.owner.values()
            )
        messages: set[int] = set()
        for which, entries in book.entries.items():
            _, run = await nodes[0].run(which)
            assert run is not None
            assert run.entries == entries
            messages.update(message.id for message in run.messages)
        assert messages == book.posted - book.decided
        assert await nodes[0].next_ready_at() in (0, 5)
    assert key(1) in book.entries
