"""How long a failed attempt waits before the next one."""

from __future__ import annotations

from zlib import crc32

from beltline.core.limits import LIMITS
from beltline.core.model import RetryPolicy


def backoff_ms(policy: RetryPolicy, failures: int, seed: str) -> int:
    """The wait after failure number `failures`, in milliseconds: exponential, bounded, and spread
    over the last fifth by a hash of `seed`, so that many runs do not come back at one moment.
    """
    grown = policy.first_ms * policy.factor ** min(failures - 1, 64)
    wait = min(grown, policy.max_ms, LIMITS.retry_wait_ms)
    spread = crc32(f"{seed}/{failures}".encode()) / 0xFFFFFFFF
    return round(wait * (0.8 + 0.2 * spread))
