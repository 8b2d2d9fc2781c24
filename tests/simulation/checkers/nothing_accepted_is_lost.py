"""What a sender was told is accepted is there, as it was sent; what was refused is not."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Compares what senders were told with what can be read in the end."""
    keys = {sending.key for sending in record.sendings if sending.told in ("accepted", "repeat")}
    started = {key for _, key, seq, _ in record.rows if seq == 0}
    for sending in record.sendings:
        if sending.told != "accepted":
            continue
        stored = record.requests.get(sending.key)
        if stored is None:
            yield f"request {sending.key.hex()} was accepted, and is not there"
        elif (stored.source, stored.body) != (sending.source, sending.body):
            yield f"request {sending.key.hex()} is not what its sender sent"
    for key in record.requests:
        if key not in record.statuses and key not in started and key not in record.held:
            yield f"request {key.hex()} is there, with no run and in no buffer"
    refused = {s.body for s in record.sendings if s.told == "refused" and s.identity is None}
    for key, stored in record.requests.items():
        if stored.identity is None and stored.body in refused and key not in keys:
            yield f"request {key.hex()} is there, and its sender was told that it is not"
