"""How a node shares its store with others."""

from __future__ import annotations

import msgspec

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Sharing(msgspec.Struct, frozen=True):
    """The name that a node is shown by, how long after its last beat it is taken for dead, how long
    runs that ended are kept (0: for ever), and the width of a partition.
    """

    name: str = ""
    lease_ms: int = 10_000
    keep_ms: int = 0
    partition_ms: int = DAY_MS

    @property
    def answer_s(self) -> float:
        """How long an answer may take before the connection counts as cut: so short that a node
        can try again within its lease.
        """
        return max(1.0, self.lease_ms / 2_500)
