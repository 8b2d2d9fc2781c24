"""Every call that a handler saw was durable before: the attempt, with the very same parameters."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Looks up every call in the journal."""
    started: dict[tuple[bytes, str, int, int], tuple[int, str]] = {}
    for key, facts in record.journals().items():
        for fact in facts:
            if fact.name == "step-started":
                started[key, fact.step, fact.visit, fact.attempt] = (fact.at, fact.input)
    for call in record.calls:
        where = f"run {call.key.hex()}: {call.step}, visit {call.visit}, attempt {call.attempt}"
        found = started.get((call.key, call.step, call.visit, call.attempt))
        if found is None:
            yield f"{where} was called and is not in the journal"
        elif found[0] >= call.at:
            yield f"{where} was called before it was durable"
        elif found[1] != call.input:
            yield f"{where} was called with other parameters than the journal says"
