"""Every implementation of the port `Store`: the conformance suite runs for each.

An implementation is one line in `KINDS`: how to open what lies in a folder of the test. Opening the
same folder again after `close` must find what was there; who means to move runs then joins. One
that several nodes may share is a line in `NODE_KINDS` too. PostgreSQL is there twice: the oldest
version that the hub works with, which is Debian's, and the newest.
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
from tests.simulation.disk import Disk
from tests.simulation.folder_store import FolderStore
from tests.simulation.store import SimulatedStore

Open = Callable[[Path], Awaitable[Store]]
OpenNode = Callable[[int], Awaitable[Store]]  # given its lease in milliseconds


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
        self._names: list[str] = []

    def url(self, folder: Path) -> str:
        """The address of the folder's database, which is made when it is missing."""
        assert self.server is not None, "the fixture `kind` names the server"
        note = folder / "database"
        if not note.exists():
            name = f"store_{blake2b(bytes(folder), digest_size=8).hexdigest()}"
            self._names.append(name)
            note.write_text(self.server.database(name))
        return note.read_text()

    def clear(self) -> None:
        """Drops all of them: together they would take gigabytes."""
        while self.server is not None and self._names:
            self.server.drop(self._names.pop())

    async def open(self, folder: Path) -> Store:
        """The folder's database as a store."""
        return await self.nodes(folder)(0)

    def nodes(self, folder: Path) -> OpenNode:
        """Opens nodes on the folder's database."""

        async def open_node(lease_ms: int) -> Store:
            url = await asyncio.to_thread(self.url, folder)
            return await open_store(url, durable=False, sharing=Sharing(lease_ms=lease_ms))

        return open_node


def simulated_nodes(_folder: Path) -> OpenNode:
    """Opens nodes on one disk of the simulation, which lasts as long as they do."""
    disk = Disk()

    async def open_node(lease_ms: int) -> Store:
        return SimulatedStore(disk, lambda _moment: asyncio.sleep(0), lease_ms=lease_ms)

    return open_node


DATABASES = Databases()
NEWEST_DATABASES = Databases()
SIMULATED = "simulated"
POSTGRES = "postgres"
POSTGRES_NEWEST = "postgres-newest"
KINDS: dict[str, Open] = {
    SIMULATED: open_folder,
    "sqlite": open_sqlite,
    POSTGRES: DATABASES.open,
    POSTGRES_NEWEST: NEWEST_DATABASES.open,
}
NODE_KINDS: dict[str, Callable[[Path], OpenNode]] = {
    SIMULATED: simulated_nodes,
    POSTGRES: DATABASES.nodes,
    POSTGRES_NEWEST: NEWEST_DATABASES.nodes,
}
# The servers that the databases lie in, by the fixtures that start them.
SERVERS = {
    POSTGRES: ("postgres_server", DATABASES),
    POSTGRES_NEWEST: ("newest_postgres_server", NEWEST_DATABASES),
}
