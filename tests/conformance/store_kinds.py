"""Every implementation of the port `Store`: the conformance suite runs for each.

An implementation is one line in `KINDS`: how to open what lies in a folder of the test. Opening the
same folder again after `close` must find what was there; who means to move runs then joins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path

from beltline.engine.ports import Store
from beltline.stores import open_store
from beltline.stores.postgres.sharing import Sharing
from tests.servers.postgres import PostgresServer
from tests.simulation.folder_store import FolderStore


async def open_folder(folder: Path) -> Store:
    """The simulation's model of a store, which the engine is tested on."""
    return FolderStore(folder)


async def open_sqlite(folder: Path) -> Store:
    """A file in the folder."""
    return await open_store(f"sqlite:///{folder / 'hub.db'}", exclusive=True)


class Databases:
    """A database for each folder, on the server of the session. Leases run out at once, so that a
    store that is opened again takes over what the one before left.
    """

    def __init__(self) -> None:
        self.server: PostgresServer | None = None

    def url(self, folder: Path) -> str:
        """The address of the folder's database, which is made when it is missing."""
        assert self.server is not None, "the fixture `kind` names the server"
        note = folder / "database"
        if not note.exists():
            name = f"store_{blake2b(bytes(folder), digest_size=8).hexdigest()}"
            note.write_text(self.server.database(name))
        return note.read_text()

    async def open(self, folder: Path) -> Store:
        """The folder's database as a store."""
        url = await asyncio.to_thread(self.url, folder)
        return await open_store(url, durable=False, sharing=Sharing(lease_ms=0))


DATABASES = Databases()
POSTGRES = "postgres"
KINDS: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "simulated": open_folder,
    "sqlite": open_sqlite,
    POSTGRES: DATABASES.open,
}
