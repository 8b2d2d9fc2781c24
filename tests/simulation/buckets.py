"""The part of the simulated store about limits: an account of every token, instead of a level."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from beltline.engine.limit_store import Ask, Drawn, Rule
from tests.simulation.accounts import Account, Share
from tests.simulation.disk import Disk


class SimulatedBuckets:
    """Fulfils `engine.limit_store.LimitStore`. On a store of one node the buckets are in the memory
    of whoever inherits this; nodes that share one have them on its disk.
    """

    _disk: Disk
    _me: int | None
    _now: Callable[[], int]
    _accounts: dict[str, Account]
    _doubt: Callable[[], Any]

    async def _write(self, work: Callable[[], Any], fate: Any = "") -> Any:
        raise NotImplementedError

    async def draw(self, rule: Rule, ask: Ask) -> Drawn:
        me = self._me
        drawn: Drawn = await self._write(lambda: self._draw(me or 0, rule, ask), self._doubt())
        return drawn

    def _draw(self, me: int, rule: Rule, ask: Ask) -> Drawn:
        now = self._now()
        account = self._accounts.setdefault(rule.name, Account(now))
        member = self._disk.members.get(me)
        share = account.shares.get(me) or Share(spent=ask.spent)
        if member is None or member.has_ended or ask.serial <= share.serial:
            return Drawn(0, None, 0.0)
        for other in list(account.shares):
            if self._disk.members[other].has_ended:
                account.spent.append((now, account.shares.pop(other).held))
        account.spent.append((now, ask.spent - share.spent))
        rest = [one for number, one in account.shares.items() if number != me]
        room = math.inf if rule.concurrency is None else rule.concurrency
        room -= ask.calls + sum(one.calls for one in rest)
        level = 0.0 if rule.rate_per_s is None else account.level(rule, now)
        free = math.inf if rule.rate_per_s is None else level
        free -= ask.held + sum(one.held for one in rest)
        granted, taken = 0, 0
        wait_ms: int | None = 0
        for cost in (min(cost, rule.burst) for cost in ask.costs):
            if granted >= room:
                wait_ms = None
                break
            if cost > free - taken:
                missing = cost - (free - taken)
                assert rule.rate_per_s is not None
                has_hope = rule.burst - level >= missing
                wait_ms = math.ceil(missing * 1_000 / rule.rate_per_s) if has_hope else None
                break
            granted, taken = granted + 1, taken + cost
        account.shares[me] = Share(ask.serial, ask.held + taken, ask.calls + granted, ask.spent)
        return Drawn(granted, wait_ms, level)
