"""`beltline move`: a hub goes from SQLite to PostgreSQL and back, with all that is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from beltline.engine.ports import Store
from beltline.engine.records import Batch, RunChange, RunFilter, TokenRecord
from beltline.stores import open_store
from beltline.stores.postgres.opening import open_postgres
from beltline.stores.transfer import moving
from beltline.stores.transfer.postgres import writing_postgres
from beltline.stores.transfer.tables import MoveFailed
from tests.conformance.store_rows import accept, claimed, held, key, new_request, ready, started
from tests.conformance.store_rows import moving as owned
from tests.servers.postgres import PostgresServer


async def fill(store: Store) -> None:
    """Something of every kind."""
    await store.join()
    await store.publish("deal-intake", "yaml", "steps: []", 5)
    lead = new_request(5, identity="lead \x00", identity_until=9_000, body=bytes(range(256)))
    await accept(store, owned(1), ready(2, 700), held(3), owned(4), started(lead))
    ended = RunChange(key(4), "completed", None, owned=False)
    await store.commit(Batch(changes=[ended]))
    await store.post(key(2), b"hello", 800)
    await store.put_value("space", "key\x00", b"1", None)
    await store.put_token(TokenRecord(b"t" * 32, "viewer", "wall", 7))
    await store.set_source_state("calls", "paused")
    await store.allow("portal", 2, 5, 3_600_000)


async def seen(url: str, *, durable: bool = True) -> list[Any]:
    """All that can be seen of a store."""
    store = await open_store(url, durable=durable)
    try:
        records = await store.runs(RunFilter(), 99)
        return [
            [await store.run(record.key) for record in records],
            await store.counts(),
            await store.newest_versions(),
            await store.tokens(),
            await store.source_state(),
            await store.value("space", "key\x00", 0),
        ]
    finally:
        await store.close()


@pytest.fixture
def no_sync_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the tests does not sync, which a hub would refuse."""
    original = open_postgres

    async def opened(url: str) -> Any:
        return await original(url, durable=False)

    monkeypatch.setattr(moving, "open_postgres", opened)


async def filled(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    store = await open_store(url, exclusive=True)
    await fill(store)
    await store.hand_over()
    await store.close()
    return url


async def test_everything_goes_to_postgresql_and_back(
    postgres_server: PostgresServer, tmp_path: Path, no_sync_check: None
) -> None:
    old = await filled(tmp_path)
    new = postgres_server.database(f"move_{tmp_path.name}"[:60])
    carried = {each.table: each.rows for each in await moving.move(old, new)}
    assert carried["request"] == 5
    assert carried["run"] == 4
    before = await seen(old)
    assert await seen(new, durable=False) == before
    back = f"sqlite:///{tmp_path / 'back.db'}"
    await moving.move(new, back)
    assert await seen(back) == before
    store = await open_store(new, durable=False)
    await store.join()
    assert sorted(await claimed(store, 800)) == [1, 2, 5]
    await store.close()


async def test_a_store_that_is_not_empty_is_refused(
    postgres_server: PostgresServer, tmp_path: Path, no_sync_check: None
) -> None:
    old = await filled(tmp_path)
    new = postgres_server.database(f"full_{tmp_path.name}"[:60])
    await moving.move(old, new)
    with pytest.raises(MoveFailed, match="not empty"):
        await moving.move(old, new)
    with pytest.raises(MoveFailed, match="one store"):
        await moving.move(old, old)


async def test_a_difference_is_found_and_nothing_is_moved(
    postgres_server: PostgresServer,
    tmp_path: Path,
    no_sync_check: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = await filled(tmp_path)
    new = postgres_server.database(f"differs_{tmp_path.name}"[:60])
    original = writing_postgres

    def spoiling(address: Any) -> Any:
        block = original(address)
        enter = block.__aenter__

        async def spoiled() -> Any:
            target = await enter()
            write = target.write

            async def worse(table: Any, rows: list[Any]) -> None:
                if table.name == "journal":
                    rows = [(*row[:-1], row[-1] + b"!") for row in rows]
                await write(table, rows)

            target.write = worse  # type: ignore[method-assign]
            return target

        return _Block(block, spoiled)

    monkeypatch.setattr(moving, "writing_postgres", spoiling)
    with pytest.raises(MoveFailed, match="table journal differs"):
        await moving.move(old, new)
    assert (await seen(new, durable=False))[0] == []


class _Block:
    """A block whose beginning is another one."""

    def __init__(self, block: Any, enter: Any) -> None:
        self._block = block
        self._enter = enter

    async def __aenter__(self) -> Any:
        return await self._enter()

    async def __aexit__(self, *error: object) -> Any:
        return await self._block.__aexit__(*error)
