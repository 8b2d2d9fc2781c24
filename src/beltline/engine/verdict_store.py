"""What the engine needs of a store for requests that started nothing, and why they did not.

It is a part of the port `Store`, and what is said there of all its methods holds for these. An
accepted request needs none of it: it is kept as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Outcome = Literal["duplicate", "refused"]


class Verdict(msgspec.Struct, frozen=True):
    """A request that came in and started nothing.

    `key` is its own, which rises with time. `of` is the request that a duplicate repeats. `status`,
    `kind` and `detail` are those of the answer that its sender was given. `meta` is the JSON of
    what is known beside the body, without secrets; `size` counts the bytes that came (None: they
    were not read). `body` stands as it came, of this type and encoding; None where it is not kept.
    `settled_as` is the request that a person made of it, `settled_by` their name.
    """

    key: bytes
    source: str
    outcome: Outcome
    status: int
    kind: str
    detail: str
    of: bytes | None
    meta: bytes
    size: int | None
    content_type: str
    encoding: str
    body: bytes | None
    settled_as: bytes | None = None
    settled_by: str = ""


class VerdictFilter(msgspec.Struct, frozen=True):
    """Which of them to list, newest first; `before` is the key that the last page ended with. From
    `since` on and before `until` (Unix ms), by the times of their keys.
    """

    source: str | None = None
    outcome: Outcome | None = None
    since: int | None = None
    until: int | None = None
    before: bytes | None = None


class VerdictStore(Protocol):
    """The verdicts that are kept for a while."""

    async def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Keeps them; one that is kept already stays as it is."""
        ...

    async def verdicts(self, filter: VerdictFilter, limit: int) -> list[Verdict]:
        """A page of them, newest first, without their bodies."""
        ...

    async def verdict(self, key: bytes) -> Verdict | None:
        """One of them, whole."""
        ...

    async def settle_verdict(self, key: bytes, settled_as: bytes, by: str) -> None:
        """Keeps what a person made of it; nothing happens where it is not kept any more."""
        ...

    async def purge_verdicts(self, before: int, most: int, limit: int) -> int:
        """Removes up to `limit` of those that came before `before` (Unix ms), or that are not among
        the newest `most` of their source; gives their number.
        """
        ...
