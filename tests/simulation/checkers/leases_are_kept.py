"""Nobody is taken over before the lease has run out by the store's own clock; and who is silent is
taken over in time, while others live.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record

IN_TIME_MS = 30_000  # after the lease; the calm part lasts longer where anything is open


def check(record: Record) -> Iterator[str]:
    """Looks at each end of a membership, and at those that did not end."""
    for note in record.notes:
        if note.what == "ended" and not note.own and note.lease_until > note.now:
            early = note.lease_until - note.now
            yield f"membership {note.member} was ended {early} ms before its lease ran out"
    for member, lease_until in record.unended:
        if lease_until + IN_TIME_MS < record.ended_at:
            yield f"membership {member} is silent and nobody took it over"
