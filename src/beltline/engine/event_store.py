"""What the engine needs of a store for events from outside, and for the runs that wait for them.

It is a part of the port `Store`, and what is said there of all its methods holds for these.

    a run waits:     its expectation, in the commit that records the decision to wait
    an event comes:  to the inbox of every run that waits for it, and these wait no more;
                     with none it is kept, and given to the first run that comes

Each of the two is one transaction, and they come one after the other, so that no event falls in
between.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from beltline.engine.records import Expectation


class OutsideEvent(msgspec.Struct, frozen=True):
    """An event as it came in at `at` (Unix ms). `id` is its sender's; `hash` tells a repeat from
    another event under the same id. `body` is the message for the runs. With no run that waits it
    is kept until `keep_until`, and its id is known until `forget_at`.
    """

    id: str
    name: str
    key: str
    at: int
    keep_until: int
    forget_at: int
    hash: bytes
    body: bytes


class EventTaken(msgspec.Struct, frozen=True):
    """What became of an event: to how many `runs` it was given so far. A repeat changes nothing,
    and is told what became of the first; `is_same` tells whether it is the same event again.
    """

    runs: int
    is_repeat: bool = False
    is_same: bool = True


class ExpectationFilter(msgspec.Struct, frozen=True):
    """Which of the things that runs wait for: of one kind, one name. `after` is what the last page
    ended with: (run, step, visit).
    """

    kind: str | None = None
    name: str | None = None
    after: tuple[bytes, str, int] | None = None


class EventStore(Protocol):
    """Events, and who waits for them."""

    async def give_event(self, event: OutsideEvent) -> EventTaken:
        """Takes an event in, once. Each run that waits for it has it in its inbox, once however
        many of its visits wait, and is ready at the event's time if nobody owns it; none of them
        waits for it any more.
        """
        ...

    async def expectations(self, filter: ExpectationFilter, limit: int) -> list[Expectation]:
        """A page of what runs wait for, in the order of (run, step, visit)."""
        ...

    async def purge_events(self, now: int, limit: int) -> int:
        """Removes up to `limit` events that are forgotten at `now`; gives their number."""
        ...
