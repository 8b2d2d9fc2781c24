"""What the simulated store keeps of buckets: an account of every token, instead of a level."""

from __future__ import annotations

import msgspec

from beltline.engine.limit_store import Rule


class Share(msgspec.Struct):
    """What a membership told of a bucket when it asked last."""

    serial: int = 0
    held: int = 0
    calls: int = 0
    spent: int = 0


class Account(msgspec.Struct):
    """A bucket: since when it is, when tokens were spent (and how many), and who holds some."""

    since: int
    spent: list[tuple[int, int]] = []
    shares: dict[int, Share] = {}

    def level(self, rule: Rule, now: int) -> float:
        """What is in it: an empty bucket filled up, less what was spent, never above the burst."""
        assert rule.rate_per_s is not None
        level, at = 0.0, self.since
        for when, number in [*self.spent, (now, 0)]:
            level = min(rule.burst, level + (when - at) * rule.rate_per_s / 1_000) - number
            at = when
        return level
