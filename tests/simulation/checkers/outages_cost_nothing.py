"""That nobody was there is no failure of any step."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Looks for failures that say so, and for calls beside the probes of a long outage."""
    for key, facts in record.journals().items():
        for fact in facts:
            if fact.name == "step-failed" and fact.error["message"] == "nobody is there":
                yield f"run {key.hex()}: an outage was counted as a failure of {fact.step}"
