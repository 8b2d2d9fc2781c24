"""The stores: where everything that the hub accepted is durable.

`open_store` is the way in. An address names the kind of store: `sqlite:///` and a path, which is
relative to the working directory unless it starts with a slash of its own; or `postgresql://` and
what follows, for a database that several nodes share.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from beltline.stores.errors import (
    NotAStore,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    StoreUnreachable,
)
from beltline.stores.postgres.address import is_postgres
from beltline.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from beltline.engine.ports import Store
    from beltline.stores.postgres.sharing import Sharing

__all__ = [
    "NotAStore",
    "StoreInUse",
    "StoreTooNew",
    "StoreUnavailable",
    "StoreUnreachable",
    "is_shared",
    "open_store",
]

SQLITE = "sqlite:///"


def is_shared(url: str) -> bool:
    """Whether several nodes may serve the store at `url`."""
    return is_postgres(url)


async def open_store(
    url: str,
    *,
    exclusive: bool = False,
    durable: bool = True,
    sharing: Sharing | None = None,
) -> Store:
    """Opens the store at `url`, makes it first where there is none, and brings it up to date.

    `exclusive` is for the one process that moves the runs of a SQLite store: a second one gets
    `StoreInUse`. Without it the store is opened beside a running server, to read, post, publish.
    `durable=False` gives up safety against power loss: for stores that are thrown away. `sharing`
    is how this node shares a PostgreSQL store, where every node moves runs that joins.
    Raises `ValueError` for an address of no known kind, else `StoreUnavailable` and its kin.
    """
    if is_postgres(url):
        return await _open_postgres(url, sharing, durable=durable)
    return await asyncio.to_thread(
        SqliteStore, sqlite_path(url), exclusive=exclusive, durable=durable
    )


async def _open_postgres(url: str, sharing: Sharing | None, *, durable: bool) -> Store:
    try:
        from beltline.stores.postgres.opening import open_postgres  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise StoreUnavailable(
            f"a PostgreSQL store needs {missing.name}: install beltline[postgres]"
        ) from missing
    return await open_postgres(url, sharing, durable=durable)


def sqlite_path(url: str) -> Path:
    """The path that a `sqlite:///` address names. Raises `ValueError`."""
    path = url.removeprefix(SQLITE)
    if path == url:
        raise ValueError(
            f"no store can be opened at {url!r}: an address is sqlite:///PATH or"
            " postgresql://USER@HOST:PORT/DATABASE"
        )
    if not path or path.endswith("/"):
        raise ValueError(f"the store address {url!r} names no file: write sqlite:///data/hub.db")
    if path.startswith(":") or "?" in path:
        raise ValueError(f"the store address {url!r} must end in a plain path of a file")
    return Path(path)
