"""The part of the store's port about limits: buckets of tokens that all nodes draw from.

A call takes tokens (one for each request that it may make) and holds them until it has ended. Only
then are they spent, by the store's clock: nobody knows sooner when a request has reached the other
side. So whatever the network does, the other side sees in any t seconds at most
`burst + rate_per_s * t` requests.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Quota(msgspec.Struct, frozen=True):
    """At most so many requests a day, which begins at midnight in `zone`."""

    per_day: int
    zone: str = "UTC"


class Rule(msgspec.Struct, frozen=True):
    """What a connection or a module bears. `name` says whose rule it is, in words for people, such
    as `connection crm`. None: no such limit.
    """

    name: str
    rate_per_s: float | None = None
    burst: int = 1
    concurrency: int | None = None
    quota: Quota | None = None


class Ask(msgspec.Struct, frozen=True):
    """What a node has and wants. `serial` rises with each question of a membership, so that one
    that comes late changes nothing. The node holds `held` tokens for the `calls` that are under
    way, has `spent` so many in all, and wants these `costs` for further calls, in their order.
    """

    serial: int
    held: int
    calls: int
    spent: int
    costs: tuple[int, ...] = ()


class Drawn(msgspec.Struct, frozen=True):
    """So many of the calls may go, from the first on. `wait_ms` is when the next one may, by the
    time that passes alone; None where a call has to end first. `left` is what the bucket holds.
    """

    granted: int
    wait_ms: int | None
    left: float


class LimitStore(Protocol):
    """Buckets, by the names of their rules."""

    async def draw(self, rule: Rule, ask: Ask) -> Drawn:
        """Tells what this membership holds and has spent, and takes tokens for the longest run of
        `costs` that the rule allows; a cost above the burst counts as the burst. What is granted is
        held. After an error the same node asks again with what it truly holds: what was granted
        and not heard of is free then.

        A bucket that is new, or whose store keeps it in memory and was opened, is empty. What a
        membership holds when it ends counts as spent at that moment. Raises `StoreAway` and
        `StoreFull`.
        """
        ...
