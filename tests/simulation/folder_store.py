"""The model of a store under asyncio; one kind is kept in a folder, for the conformance suite."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.simulation.disk import Disk, read_disk, write_disk
from tests.simulation.store import SimulatedStore


def asyncio_store(disk: Disk | None = None) -> SimulatedStore:
    """The model under asyncio; give the same disk to open it again."""
    return SimulatedStore(Disk() if disk is None else disk, lambda moment: asyncio.sleep(0))


class FolderStore(SimulatedStore):
    """Fulfils `engine.ports.Store`; what lies in the folder is opened again."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hub.db"
        kept = read_disk(self._file) if self._file.exists() else Disk()
        super().__init__(kept, lambda moment: asyncio.sleep(0))

    async def close(self) -> None:
        await super().close()
        self._file.unlink(missing_ok=True)
        write_disk(self._disk, self._file)
