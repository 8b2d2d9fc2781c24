"""Every implementation of the port `Store`: the conformance suite runs for each.

An implementation is one line in `KINDS`: how to open what lies in a folder of the test. Opening the
same folder again after `close` must find what was there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from beltline.engine.ports import Store
from beltline.stores import open_store
from tests.simulation.store import FolderStore


async def open_folder(folder: Path) -> Store:
    """The simulation's model of a store, which the engine is tested on."""
    return FolderStore(folder)


KINDS: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "simulated": open_folder,
    "sqlite": lambda folder: open_store(f"sqlite:///{folder / 'hub.db'}", exclusive=True),
}
