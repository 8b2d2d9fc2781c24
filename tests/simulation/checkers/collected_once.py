"""Of a source that collects each request is in one batch, as it was sent; a batch is no larger than
it may be, and each of its requests ends at once and says where it went on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.simulation.record import Departure, Record

ENDS_AT_ONCE = ["run-started", "run-completed"]
COLLECT_MOST = 4  # the most that any source of the simulation says


def check(record: Record) -> Iterator[str]:
    """Looks at every batch, and at all of them together."""
    batches: dict[bytes, bytes] = {}
    journals = record.journals()
    for departure in record.departures:
        if departure.how != "collected":
            continue
        for key in departure.keys:
            if key in batches:
                first, second = batches[key].hex(), departure.into.hex()
                yield f"request {key.hex()} is in the batches {first} and {second}"
            batches[key] = departure.into
            names = [fact.name for fact in journals.get(key, ())]
            if [name for name in names if name != "command-refused"] != ENDS_AT_ONCE:
                yield f"request {key.hex()} was collected, and its journal says {names}"
        yield from _of_batch(record, departure)


def _of_batch(record: Record, departure: Departure) -> Iterator[str]:
    batch = record.requests.get(departure.into)
    if batch is None:
        yield f"the batch {departure.into.hex()} is not there"
        return
    sent = [json.loads(record.requests[key].body) for key in departure.keys]
    if json.loads(batch.body) != sent:
        yield f"the batch {departure.into.hex()} is not made of its requests"
    if len(departure.keys) > COLLECT_MOST:
        yield f"the batch {departure.into.hex()} has {len(departure.keys)} requests"
