"""A parked step waits for its time, and was not called where it says so."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Compares what the journals say with who was called."""
    called = {
        (call.key, call.step, call.visit, call.attempt) for call in record.calls if not call.is_away
    }
    for key, facts in record.journals().items():
        until: dict[tuple[str, int], int] = {}
        for fact in facts:
            if fact.name == "step-parked":
                place = (key, fact.step, fact.visit, fact.attempt)
                if place in called and not fact.was_called:
                    yield f"run {key.hex()}: {fact.step} was called and says that it was not"
                if fact.until <= fact.time:
                    yield f"run {key.hex()}: {fact.step} is parked until it was parked"
                until[fact.step, fact.visit] = fact.until
            elif fact.name == "step-started" and fact.reason == "parked":
                early = until.get((fact.step, fact.visit), 0) - fact.time
                if early > 0:
                    yield f"run {key.hex()}: {fact.step} came back {early} ms too early"
