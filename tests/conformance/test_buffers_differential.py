"""Buffers of all stores against each other: the same random commands, and all that waits compared.

What the model of the simulation shows of itself tells which requests there are to choose from.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from beltline.core.run import Status
from beltline.engine.ports import Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    Collection,
    Due,
    HeldFilter,
    JournalRow,
    NewRequest,
    NewRun,
    ReleaseOrder,
    RunChange,
)
from tests.conformance.store_kinds import DATABASES, KINDS, POSTGRES, SIMULATED
from tests.conformance.store_rows import VERSION, key, new_request
from tests.servers.postgres import PostgresServer

COMMANDS = 1_500
SOURCES = ("form", "calls")
PROCESSES = ("a", "b")
LINES = ("", "", "x", "y", "\0")
ENDS: tuple[Status, ...] = ("completed", "cancelled", "stopped", "waiting")


class Commands:
    """Draws commands from a seed, and has every store carry them out."""

    def __init__(self, stores: list[Store], seed: int) -> None:
        self._stores = stores
        self._chance = Random(f"buffers {seed}")
        self._number = 0
        self._owned: list[bytes] = []

    async def _all(self, call: Any) -> Any:
        first, *others = await asyncio.gather(*(call(store) for store in self._stores))
        assert others == [first] * len(others)
        return first

    async def run(self) -> None:
        """Carries all of them out, and looks at what waits after each."""
        ways = [self._accept] * 5 + [self._release] * 4 + [self._decide] * 4
        ways += [self._let_go, self._put, self._collect, self._pause, self._expired]
        for _ in range(COMMANDS):
            await self._chance.choice(ways)()
            for source in SOURCES:
                await self._all(lambda store, name=source: store.waiting(HeldFilter(name), 1_000))
            await self._all(lambda store: store.held(None))

    def _request(self) -> NewRequest:
        self._number += 1
        chance = self._chance
        return new_request(
            self._number,
            source=chance.choice(SOURCES),
            process=chance.choice(PROCESSES),
            held=True,
            line=chance.choice(LINES),
            passes_stopped=chance.random() < 0.3,
            place=chance.randint(-3, 3),
            expires_at=chance.choice((None, None, chance.randint(0, 99))),
        )

    async def _some(self) -> tuple[str, list[bytes]]:
        """Some of what a source holds, and a key that it does not hold."""
        source = self._chance.choice(SOURCES)
        filter = HeldFilter(
            source,
            process=self._chance.choice((None, *PROCESSES)),
            line=self._chance.choice((None, *LINES)),
            may_go=self._chance.random() < 0.5,
        )
        found = await self._all(lambda store: store.waiting(filter, 1_000))
        keys = [one.key for one in found]
        return source, self._chance.sample([*keys, key(10**9)], min(3, len(keys) + 1))

    async def _accept(self) -> None:
        requests = [self._request() for _ in range(self._chance.randint(1, 4))]
        batch = Batch([Acceptance(request) for request in requests])
        await self._all(lambda store: store.commit(batch))

    async def _release(self) -> None:
        chance = self._chance
        due = Due(chance.randint(0, self._number), chance.choice((None, 1, 3)))
        order = ReleaseOrder(
            chance.choice(SOURCES),
            dict.fromkeys(chance.sample(PROCESSES, chance.randint(0, 2)), VERSION),
            chance.randint(0, 4),
            due=due if chance.random() < 0.3 else None,
        )
        await self._all(lambda store: store.release(order, 5))

    async def _decide(self) -> None:
        """Claims what has gone, and ends some of what is owned, or lets go of it."""

        async def claim(store: Store) -> list[bytes]:
            found = await store.claim(10, 100, crashes=0, max_bytes=10**9)
            return sorted(run.key for run in found.runs)

        self._owned += await self._all(claim)
        some = self._chance.sample(self._owned, min(len(self._owned), 3))
        changes = [
            RunChange(each, self._chance.choice(ENDS), None, self._chance.random() < 0.2)
            for each in some
        ]
        if changes:
            await self._all(lambda store: store.commit(Batch(changes=changes)))
        let_go = {change.key for change in changes if not change.owned}
        self._owned = [each for each in self._owned if each not in let_go]

    async def _let_go(self) -> None:
        _, keys = await self._some()
        versions = {self._chance.choice(PROCESSES): VERSION}
        await self._all(lambda store: store.let_go(keys, versions, 5, None))

    async def _put(self) -> None:
        _, keys = await self._some()
        first = self._chance.random() < 0.5
        await self._all(lambda store: store.put_first(keys, first=first))

    async def _collect(self) -> None:
        source, keys = await self._some()
        if self._chance.random() < 0.8:
            keys = [each for each in keys if each != key(10**9)]
        self._number += 1
        together = new_request(self._number, source=source)
        collection = Collection(
            Acceptance(together, NewRun(together.key, VERSION, "waiting", 5, owned=False)),
            [NewRun(each, VERSION, "completed", None, owned=False) for each in keys],
            [JournalRow(each, 0, b"collected") for each in keys],
        )
        await self._all(lambda store: store.collect(collection))

    async def _pause(self) -> None:
        source, state = (
            self._chance.choice(SOURCES),
            self._chance.choice(("paused", "released", "released")),
        )
        await self._all(lambda store: store.set_source_state(source, state))

    async def _expired(self) -> None:
        now = self._chance.randint(0, 99)

        async def expired(store: Store) -> list[bytes]:
            found = await store.expired(PROCESSES, now, 1_000)
            return sorted(one.key for one in found)

        await self._all(expired)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
async def test_buffers_of_all_stores_answer_alike(
    seed: int, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    DATABASES.server = postgres_server
    stores = []
    try:
        for kind in (SIMULATED, "sqlite", POSTGRES):
            folder = tmp_path / kind
            folder.mkdir()
            stores.append(await KINDS[kind](folder))
            await stores[-1].join()
        await Commands(stores, seed).run()
    finally:
        for store in stores:
            await store.close()
        DATABASES.clear()
