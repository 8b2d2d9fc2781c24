"""Of a request that is dropped nothing is ever called, and of one that waited for too long nothing
before a person has mended it; both have a run that says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Fact, Record


def check(record: Record) -> Iterator[str]:
    """Looks up the calls of all that left its buffer with a message."""
    journals = record.journals()
    first: dict[bytes, int] = {}
    for call in record.calls:
        first.setdefault(call.key, call.at)
    for departure in record.departures:
        for key in departure.keys if departure.message else ():
            facts = journals.get(key, [])
            if departure.message == "cancel":
                if key in first:
                    yield f"request {key.hex()} was dropped, and called"
                continue
            mended = min((fact.at for fact in facts if _is_mended(fact)), default=None)
            if key in first and (mended is None or first[key] < mended):
                yield f"request {key.hex()} had waited for too long, and was called"
            if any(fact.name == "step-started" for fact in facts) and not _has_stopped(facts):
                yield f"request {key.hex()} had waited for too long, and is no dead letter"


def _is_mended(fact: Fact) -> bool:
    """Whether a person did something to a run that had stopped."""
    if fact.name == "step-started":
        return bool(fact.reason == "retried by a person")
    return fact.name in ("step-left", "step-skipped")


def _has_stopped(facts: list[Fact]) -> bool:
    ends = ("run-stopped", "run-cancelled")
    at_once = any(f.name == "run-completed" and f.row == facts[0].row for f in facts)
    return at_once or any(fact.name in ends for fact in facts)
