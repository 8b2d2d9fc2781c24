"""In any window the connection gets at most its burst and what its rate allows, from all nodes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Counts requests as the other side saw them; a batch is one."""
    if not record.rate_per_s:
        return
    first = {call.unit: call.time for call in reversed(record.calls) if call.connection}
    times = sorted(first.values())
    for start, begins in enumerate(times):
        for end in range(start, len(times)):
            allowed = record.burst + record.rate_per_s * (times[end] - begins) / 1_000
            if end - start + 1 > allowed + 1e-6:
                yield (
                    f"{end - start + 1} requests within {times[end] - begins} ms, where"
                    f" {allowed:g} are allowed"
                )
                return
