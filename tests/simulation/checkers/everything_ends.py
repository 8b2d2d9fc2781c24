"""Once the faults have stopped, every run comes to its end and nothing is left lying about."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record

ENDS = ("completed", "cancelled")


def check(record: Record) -> Iterator[str]:
    """Looks at what is left."""
    for key, status in record.statuses.items():
        if status not in ENDS:
            yield f"run {key.hex()} is still {status}"
    if record.inbox:
        yield f"{record.inbox} messages are left in the inbox"
    if record.held:
        yield f"{len(record.held)} requests are left in buffers"
    for sending in record.sendings:
        if sending.identity and not sending.told:
            yield f"the sender of {sending.identity!r} was never told anything"
    yield from record.reports
    if record.ended_in_time:
        return
    yield "not everything had ended in time"
