"""The buckets of limits, in memory: one process serves the database, so nobody else draws."""

from __future__ import annotations

import math

from beltline.engine.limit_store import Ask, Drawn, Rule
from beltline.stores.sqlite.shared import now_ms


class Buckets:
    """All buckets of a store that was opened now: what was called before is not known, so they
    begin empty.
    """

    def __init__(self) -> None:
        self._opened_at = now_ms()
        self._by_name: dict[str, _Bucket] = {}

    def draw(self, rule: Rule, ask: Ask) -> Drawn:
        """See `LimitStore.draw`."""
        bucket = self._by_name.setdefault(rule.name, _Bucket(self._opened_at))
        return bucket.draw(rule, ask, now_ms())


class _Bucket:
    def __init__(self, at: int) -> None:
        self._at = at
        self._level = 0.0
        self._spent = 0

    def draw(self, rule: Rule, ask: Ask, now: int) -> Drawn:
        rate = rule.rate_per_s
        room = math.inf if rule.concurrency is None else rule.concurrency - ask.calls
        if rate is None:
            granted = int(max(0, min(len(ask.costs), room)))
            return Drawn(granted, None, 0.0)
        self._level = min(rule.burst, self._level + (now - self._at) * rate / 1_000)
        self._at = now
        self._level -= ask.spent - self._spent
        self._spent = ask.spent
        free, granted = self._level - ask.held, 0
        for cost in ask.costs:
            if granted >= room:
                return Drawn(granted, None, self._level)
            if min(cost, rule.burst) > free:
                missing = min(cost, rule.burst) - free
                # No bucket holds more than the burst: for the rest a call has to end.
                can_come = rule.burst - self._level >= missing
                wait_ms = math.ceil(missing * 1_000 / rate) if can_come else None
                return Drawn(granted, wait_ms, self._level)
            free -= min(cost, rule.burst)
            granted += 1
        return Drawn(granted, 0, self._level)
