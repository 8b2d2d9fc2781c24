"""What is written down of the store: each departure from a buffer, and all that is left."""

from __future__ import annotations

import msgspec

from tests.simulation.buffers import Left
from tests.simulation.disk import Disk
from tests.simulation.record import Departure, Record, Stored


def departure(left: Left, at: int, now: int) -> Departure:
    """Requests left a buffer in step `at`, at the true time `now`."""
    window, message = left.window, ""
    if left.message is not None:
        message = str(msgspec.json.decode(left.message)["type"])
    return Departure(
        at,
        now,
        left.how,
        left.source,
        tuple(left.keys),
        None if window is None else (window.at_most, window.every_ms),
        None if left.due is None else left.due.at,
        message,
        left.into,
    )


def take_stock(record: Record, disk: Disk) -> None:
    """Notes what can be read in the end."""
    record.inbox = len(disk.inbox)
    record.held = tuple(disk.held)
    record.statuses = {key: row.status for key, row in disk.runs.items()}
    record.requests = {
        key: Stored(
            request.source,
            request.process,
            request.body,
            request.meta,
            request.identity,
            request.identity_until,
            request.accepted_at,
        )
        for key, request in disk.requests.items()
    }
