"""A run in memory is what its journal says: the fold of the rows gives the very same state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from beltline.core.events import Entry, Journal
from beltline.core.run import new_run, replay
from beltline.engine.ids import id_of
from tests.simulation import workload
from tests.simulation.record import Record
from tests.simulation.state import state_of


def check(record: Record) -> Iterator[str]:
    """Replays every run up to every sample of it."""
    rows: dict[bytes, list[tuple[int, bytes]]] = {}
    for _, key, seq, entry in record.rows:
        rows.setdefault(key, []).append((seq, entry))
    texts = dict(workload.texts())
    for sample in record.samples:
        request = record.requests[sample.key]
        process = workload.compiled(texts[request.process], request.process, 1)
        size = len(request.body) + len(request.meta)
        body, meta = json.loads(request.body), json.loads(request.meta)
        run = new_run(id_of(sample.key), sample.key, process, body, meta, size)
        replay(run, _entries(rows[sample.key], sample.seq))
        if state_of(run) != sample.state:
            yield (
                f"run {sample.key.hex()} at event {sample.seq}: in memory"
                f" {_differences(sample.state, state_of(run))} by its journal"
            )


def _entries(rows: list[tuple[int, bytes]], seq: int) -> list[Entry]:
    return [Journal.decode(entry) for start, entry in sorted(rows) if start < seq]


def _differences(memory: bytes, journal: bytes) -> str:
    here: dict[str, Any] = json.loads(memory)
    there: dict[str, Any] = json.loads(journal)
    return "; ".join(
        f"{name} is {here[name]!r}, {there[name]!r}" for name in here if here[name] != there[name]
    )
