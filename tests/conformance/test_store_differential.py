"""The stores against each other: the same 100,000 random commands, and every answer compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from beltline.engine.ports import NotFound, Store
from beltline.stores import open_store
from tests.conformance.differential import Ask, Ids, Renumbered, Stream, all_runs, everything
from tests.conformance.store_kinds import DATABASES, KINDS, POSTGRES, SIMULATED
from tests.servers.postgres import PostgresServer

COMMANDS = 100_000
# Of each test two streams at once, which wait for two databases; no list of theirs gets long.
SEEDS = ((0, 1), (2, 3))
SIMULATED_COMMANDS = 8_000  # the simulation's model looks at everything for every call
LOOK_EVERY = 5_000


@asynccontextmanager
async def pair(folder: Path, kind: str) -> AsyncIterator[list[Store]]:
    """A SQLite store and one of another kind, both empty."""
    async with AsyncExitStack() as opened:
        stores = [
            await open_store(f"sqlite:///{folder / 'first.db'}", exclusive=True, durable=False),
            await KINDS[kind](folder),
        ]
        for store in stores:
            opened.push_async_callback(store.close)
            await store.join()
        yield stores


async def ask(store: Store, command: Ask) -> Any:
    """The answer, an error that is one included."""
    try:
        return await command(store)
    except NotFound:
        return NotFound


async def compare(first: Store, second: Store, seed: int, commands: int) -> int:
    """Drives both with the commands of a seed; gives the number of runs in the end. What does not
    agree is told with its place in the stream, which the seed alone draws again.
    """
    stream, ids, same = Stream(seed), Ids(), Ids()
    renumbered: Any = Renumbered(second, ids)
    for number in range(commands):
        command = stream.next()
        one, two = await asyncio.gather(ask(first, command), ask(renumbered, command))
        where = f"seed {seed}, command {number}, {stream.name}"
        if stream.name == "post" and one is not NotFound and two is not NotFound:
            ids.learn(two, one)
        else:
            assert ids.told(two) == same.told(one), where
        stream.told(one)
        if number % LOOK_EVERY == 0:
            seen = await asyncio.gather(everything(first), everything(second))
            assert ids.told(seen[1]) == same.told(seen[0]), where
    looked = await asyncio.gather(all_runs(first), all_runs(second))
    assert ids.told(looked[1]) == same.told(looked[0]), f"seed {seed}, at its end"
    return len(looked[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
async def test_sqlite_and_postgresql_answer_alike(
    seeds: tuple[int, ...], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    DATABASES.server = postgres_server
    commands = COMMANDS // len(SEEDS) // len(seeds)

    async def compare_stores(seed: int) -> None:
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        async with pair(folder, POSTGRES) as (first, second):
            assert await compare(first, second, seed, commands) > commands // 10

    await asyncio.gather(*map(compare_stores, seeds))
    DATABASES.clear()


@pytest.mark.slow
async def test_sqlite_and_the_model_of_the_simulation_answer_alike(tmp_path: Path) -> None:
    async with pair(tmp_path, SIMULATED) as (first, second):
        commands = SIMULATED_COMMANDS
        assert await compare(first, second, 100, commands) > commands // 10
