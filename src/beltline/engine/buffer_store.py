"""What the engine needs of a store for requests that wait in their source's buffer.

It is a part of the port `Store`, and what is said there of all its methods holds for these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from beltline.engine.records import (
    Collection,
    HeldCount,
    HeldFilter,
    HeldRequest,
    Released,
    ReleaseOrder,
    StoredRequest,
)


class BufferStore(Protocol):
    """The buffers of all sources."""

    async def release(self, order: ReleaseOrder, now: int) -> Released:
        """Gives held requests that may go, those with the least `place` first and of one place the
        oldest, a run that is ready at `now`. Nothing goes while a person has paused the source.
        """
        ...

    async def let_go(
        self, keys: Sequence[bytes], versions: Mapping[str, int], now: int, message: bytes | None
    ) -> int:
        """Gives these requests, as far as they are held and of a process in `versions`, a run that
        is ready at `now`, whatever their line and their place, and the run a message where there is
        one. Gives their number.
        """
        ...

    async def collect(self, collection: Collection) -> bool:
        """Makes held requests into one, at once for all of them: False, and nothing is stored,
        where one of them is not held any more.
        """
        ...

    async def put_first(self, keys: Sequence[bytes], *, first: bool) -> int:
        """Moves held requests to the first places of their source, or to the last, in their order
        among themselves. Gives their number.
        """
        ...

    async def held(self, source: str | None) -> dict[str, HeldCount]:
        """What each source (or this one) holds back; none that holds nothing."""
        ...

    async def waiting(
        self, filter: HeldFilter, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[HeldRequest]:
        """Held requests of a source in the order of their places, then of their keys; those after
        a place and key.
        """
        ...

    async def last_in_line(self) -> bytes | None:
        """The greatest key of the held requests that are in a line; None where none are."""
        ...

    async def requests(self, keys: Sequence[bytes]) -> list[StoredRequest]:
        """These requests as they came in, as far as there are such, in the order of their keys."""
        ...

    async def expired(self, processes: Sequence[str], now: int, limit: int) -> list[HeldRequest]:
        """Held requests of these processes that have waited for too long, whatever their source."""
        ...
