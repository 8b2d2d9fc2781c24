"""A buffer with a rate drains while its hub is killed again and again: the receiving side is never
called more often than the rate says, and nothing is lost or done twice.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.kill.drain import Rate, drained, shortest_s

RATE = Rate(at_most=6, every_s=1.0)
ORDERS = 42
KILLS = 3


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_no_window_holds_more_than_its_number_whenever_the_hub_is_killed(
    tmp_path: Path,
) -> None:
    seen = await drained(tmp_path, RATE, ORDERS, KILLS)
    assert len(seen.times) == ORDERS
    # Calls that were out at a kill are made again, and none beyond these.
    assert seen.again <= KILLS * RATE.at_most
    # A call is noted some time after its release, on a busy machine quite some.
    late_s = RATE.every_s / 4
    assert shortest_s(seen.times, RATE.at_most) >= RATE.every_s - late_s
    longest = max(later - at for at, later in pairwise(seen.times))
    assert longest >= RATE.every_s  # it was in use
    assert seen.statuses == {"completed": ORDERS}
