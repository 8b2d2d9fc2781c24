"""Every request leaves its buffer once: it gets one run, whoever lets it go."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Counts how often each left; that it is collected twice is another checker's affair."""
    left: dict[bytes, list[str]] = {}
    for departure in record.departures:
        for key in departure.keys:
            left.setdefault(key, []).append(departure.how)
    for key, ways in left.items():
        if len(ways) > 1 and ways.count("collected") < 2:
            yield f"request {key.hex()} left its buffer as {' and as '.join(ways)}"
    for key in record.held:
        if key in left:
            yield f"request {key.hex()} left its buffer and is there"
