"""A line as people see it: who waits, who is under way, and whether the other side is there."""

from __future__ import annotations

import msgspec

from beltline.engine.breaker import State
from beltline.engine.line import Line


class LineView(msgspec.Struct, frozen=True):
    """A line as people see it. Times are Unix milliseconds; None: nothing, or never."""

    name: str
    waiting: int
    under_way: int
    parked_until: int | None
    left: dict[str, float]
    breaker: State | None = None
    since: int | None = None
    probe_at: int | None = None
    last_error: str = ""
    last_error_at: int | None = None


def view_of(line: Line, left: dict[str, float], now: int) -> LineView:
    """A line as it stands; `left` is what the buckets of its limits hold, by their names."""
    view = LineView(line.name, len(line), line.under_way, line.booked_until(now), left)
    breaker = line.breaker
    if breaker is None:
        return view
    is_away = breaker.state != "closed"
    return msgspec.structs.replace(
        view,
        breaker=breaker.state,
        since=breaker.since if is_away else None,
        probe_at=breaker.probe_at if breaker.state == "open" else None,
        last_error=breaker.last_error,
        last_error_at=breaker.last_error_at or None,
    )
