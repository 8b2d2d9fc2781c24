"""What waits behind a rate goes at about that rate once nothing goes wrong any more: a window is
kept to, and it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record

SLACK_MS = 45_000  # until every process is up, people have resumed, and silent ones are taken over
LONG_MS = 3_600_000


def check(record: Record) -> Iterator[str]:
    """Looks when the last of each backlog went."""
    for name, terms in record.sources.items():
        if terms.kind != "rate" or terms.keeps_order or terms.every_ms > LONG_MS:
            continue
        own = [d for d in record.departures if d.source == name and d.now > record.calm_at]
        number = sum(len(departure.keys) for departure in own)
        last = max((departure.now for departure in own if departure.keys), default=0)
        windows = 1 + -(-number // terms.at_most)
        until = record.calm_at + windows * terms.every_ms + SLACK_MS
        if number and last > until:
            yield f"{name}: the last of {number} went {last - until} ms later than it could have"
