"""All attempts of a visit come to their handler under one idempotency key, and no other visit has
that key.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Goes through the handlers' ledger."""
    keys: dict[tuple[bytes, str, int], str] = {}
    owners: dict[str, tuple[bytes, str, int]] = {}
    for call in record.calls:
        visit = (call.key, call.step, call.visit)
        where = f"run {call.key.hex()}: {call.step}, visit {call.visit}"
        if keys.setdefault(visit, call.idempotency) != call.idempotency:
            yield f"{where} came under a second idempotency key"
        if owners.setdefault(call.idempotency, visit) != visit:
            yield f"{where} came under the idempotency key of another visit"
