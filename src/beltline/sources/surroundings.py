"""What feeds are given beside their door: time, connections, the outgoing client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from beltline.core.limits import Limits
from beltline.engine.attachments import BlobStore
from beltline.engine.ports import Bell, Clock
from beltline.sdk import Connection, Http
from beltline.sources.door import FeedTrouble


class Surroundings(msgspec.Struct, frozen=True):
    """What every feed may use. `connection` raises where its secret is not set; `http` is the one
    outgoing client; `wake_runs` tells the node that runs wait to be claimed; `blobs` keeps files;
    `node` tells this node from others that share its store.
    """

    home: Path
    clock: Clock
    new_bell: Callable[[], Bell]
    connection: Callable[[str], Connection | None]
    http: Http
    limits: Limits
    wake_runs: Callable[[], None]
    blobs: BlobStore
    node: str

    def account(self, name: str) -> Connection:
        """The connection. Raises `FeedTrouble` where there is none."""
        found = self.connection(name)
        if found is None:
            raise FeedTrouble(f"there is no connection {name!r}")
        return found
