"""Opens a home's store beside a hub that may be running on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from beltline.engine.ids import key_of
from beltline.engine.ports import Store
from beltline.engine.processes import ProcessBook
from beltline.engine.vault import Vault
from beltline.home_files import HomeFiles, read_home
from beltline.loop import SystemClock
from beltline.settings import Home, SettingsError, hub_key, open_home
from beltline.stores import is_shared, open_store


class Opened(msgspec.Struct):
    """A store with the home that it belongs to."""

    home: Home
    files: HomeFiles
    store: Store
    processes: ProcessBook
    clock: SystemClock


@asynccontextmanager
async def opened_store(path: Path, url: str | None = None) -> AsyncIterator[Opened]:
    """The home's store, for reading and for messages; runs are moved by `serve` alone."""
    home = open_home(path)
    files = read_home(home)
    if url is None and not home.settings.store.url:
        home.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = await open_store(url or home.store_url)
    clock = SystemClock()
    processes = ProcessBook(store, files.catalog, files.connection_kinds(), clock)
    try:
        yield Opened(home, files, store, processes, clock)
    finally:
        await store.close()


async def opened_vault(opened: Opened, url: str | None) -> Vault:
    """The secrets that the hub of this store keeps, as they are now."""
    is_one_of_many = is_shared(url or opened.home.store_url)
    key = hub_key(opened.home, is_shared=is_one_of_many)
    vault = Vault(opened.store, opened.clock, key)
    await vault.load()
    return vault


def run_key(id: str) -> bytes:
    """The key of a run's id, as a person typed it."""
    key = key_of(id.strip())
    if key is None:
        raise SettingsError(f"{id!r} is no run id; `beltline runs list` shows them")
    return key
