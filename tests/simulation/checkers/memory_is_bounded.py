"""No more runs are in memory than the limit allows; the others wait in the store."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Looks at the highest number that was seen."""
    if record.most_in_memory > record.memory_limit:
        yield f"{record.most_in_memory} runs were in memory, {record.memory_limit} may be"
