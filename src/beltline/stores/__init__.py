"""The stores: where everything that the hub accepted is durable.

`open_store` is the way in. An address names the kind of store: `sqlite:///` and a path, which is
relative to the working directory unless it starts with a slash of its own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from beltline.stores.errors import NotAStore, StoreInUse, StoreTooNew, StoreUnavailable
from beltline.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from beltline.engine.ports import Store

__all__ = ["NotAStore", "StoreInUse", "StoreTooNew", "StoreUnavailable", "open_store"]

SQLITE = "sqlite:///"


async def open_store(url: str, *, exclusive: bool = False, durable: bool = True) -> Store:
    """Opens the store at `url`, makes it first where there is none, and brings it up to date.

    `exclusive` is for the one process that moves the runs of a SQLite store: a second one gets
    `StoreInUse`. Without it the store is opened beside a running server, to read, post, publish.
    `durable=False` gives up safety against power loss: for stores that are thrown away.
    Raises `ValueError` for an address of no known kind, else `StoreUnavailable` and its kin.
    """
    return await asyncio.to_thread(
        SqliteStore, sqlite_path(url), exclusive=exclusive, durable=durable
    )


def sqlite_path(url: str) -> Path:
    """The path that a `sqlite:///` address names. Raises `ValueError`."""
    path = url.removeprefix(SQLITE)
    if path == url:
        raise ValueError(f"no store can be opened at {url!r}: an address is sqlite:///PATH")
    if not path or path.endswith("/"):
        raise ValueError(f"the store address {url!r} names no file: write sqlite:///data/hub.db")
    if path.startswith(":") or "?" in path:
        raise ValueError(f"the store address {url!r} must end in a plain path of a file")
    return Path(path)
