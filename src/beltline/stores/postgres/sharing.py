"""How a node shares its store with others."""

from __future__ import annotations

import msgspec

MINUTE_MS = 60_000
DAY_MS = 86_400_000

# What is kept lies in about as many partitions: so what is over is dropped in good time.
PARTITIONS = 30
WIDEST_MS = 7 * DAY_MS  # kept for ever, it takes 52 partitions a year


def partition_width(keep_ms: int) -> int:
    """The time that one partition holds when nobody sets it."""
    if not keep_ms:
        return WIDEST_MS
    return min(max(keep_ms // PARTITIONS, DAY_MS), WIDEST_MS)


class Sharing(msgspec.Struct, frozen=True):
    """The name that a node is shown by, how long after its last beat it is taken for dead, how long
    runs that ended are kept (0: for ever), and the width of a partition (0: what suits that).
    """

    name: str = ""
    lease_ms: int = 10_000
    keep_ms: int = 0
    partition_ms: int = 0

    @property
    def width_ms(self) -> int:
        """The width of the partitions that this node makes."""
        return self.partition_ms or partition_width(self.keep_ms)

    @property
    def answer_s(self) -> float:
        """How long an answer may take before the connection counts as cut: so short that a node
        can try again within its lease.
        """
        return max(1.0, self.lease_ms / 2_500)
