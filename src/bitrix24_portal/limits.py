"""The two limits of the REST API, as plain arithmetic on a given time.

Rate: a leaky bucket for each calling address. A call adds one, `rate_per_s` leak away each second,
and a call that would overflow `burst` is refused. Operating time: what a method has worked in the
last ten one-minute buckets; a method over the sum is blocked until old buckets have left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MINUTES = 10
MINUTE_S = 60
BUCKETS_KEPT = 10_000  # callers remembered; an empty bucket is the same as a forgotten one


@dataclass(slots=True)
class _Level:
    """How full a bucket was, and when that was so."""

    filled: float
    at: float


@dataclass(slots=True)
class RateLimit:
    """The leaky buckets of all callers. A rate of 0 turns the limit off."""

    rate_per_s: float
    burst: int
    _levels: dict[str, _Level] = field(default_factory=dict)

    def admit(self, caller: str, now: float) -> bool:
        """Whether the call fits into the caller's bucket; counts it only if it does."""
        if self.rate_per_s <= 0:
            return True
        level = self._levels.setdefault(caller, _Level(0.0, now))
        leaked = max(0.0, now - level.at) * self.rate_per_s
        level.filled = max(0.0, level.filled - leaked)
        level.at = now
        if level.filled + 1 > self.burst:
            return False
        level.filled += 1
        if len(self._levels) > BUCKETS_KEPT:
            self._forget_empty(now)
        return True

    def _forget_empty(self, now: float) -> None:
        self._levels = {
            caller: level
            for caller, level in self._levels.items()
            if level.filled > (now - level.at) * self.rate_per_s
        }


@dataclass(slots=True)
class OperatingLimit:
    """The working time of each method in one-minute buckets. A limit of 0 turns it off."""

    limit_s: float
    _spent: dict[str, dict[int, float]] = field(default_factory=dict)

    def blocked(self, method: str, now: float) -> bool:
        """Whether the method has passed its limit and no bucket has left since."""
        return self.limit_s > 0 and self.spent_s(method, now) > self.limit_s

    def add(self, method: str, worked_s: float, now: float) -> None:
        """Counts working time into the current minute."""
        buckets = self._live(method, now)
        minute = math.floor(now / MINUTE_S)
        buckets[minute] = buckets.get(minute, 0.0) + worked_s

    def spent_s(self, method: str, now: float) -> float:
        """The method's working time within the window, in seconds."""
        return sum(self._live(method, now).values())

    def reset_at(self, method: str, now: float) -> int:
        """When the oldest bucket of the method leaves the window, in seconds since 1970."""
        oldest = min(self._live(method, now), default=math.floor(now / MINUTE_S))
        return (oldest + MINUTES) * MINUTE_S

    def _live(self, method: str, now: float) -> dict[int, float]:
        first = math.floor(now / MINUTE_S) - MINUTES + 1
        buckets = self._spent.setdefault(method, {})
        for minute in [minute for minute in buckets if minute < first]:
            del buckets[minute]
        return buckets
