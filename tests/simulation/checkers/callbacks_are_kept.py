"""What comes later is awaited: an attempt whose handler took its work over is not called again by a
recovery, and neither is one whose answer was stored before the crash.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import CalledBack, Fact, Record

AGAIN = "recovered"


def check(record: Record) -> Iterator[str]:
    """Looks at every further attempt that a recovery began."""
    callbacks: dict[bytes, list[CalledBack]] = {}
    for callback in record.callbacks:
        callbacks.setdefault(callback.key, []).append(callback)
    for key, facts in record.journals().items():
        for text in _of_run(facts, callbacks.get(key, []), record):
            yield f"run {key.hex()}: {text}"


def _of_run(facts: list[Fact], callbacks: list[CalledBack], record: Record) -> Iterator[str]:
    last: dict[tuple[str, int], Fact] = {}
    for fact in facts:
        if "step" not in fact.fields:
            continue
        visit = (fact.step, fact.visit)
        before = last.get(visit)
        last[visit] = fact
        if fact.name != "step-started" or fact.reason != AGAIN or before is None:
            continue
        if before.name == "step-deferred":
            yield f"{fact.step}: attempt {fact.attempt} began while a later answer was awaited"
        given_up = fact.attempt - 1
        for callback in callbacks:
            if (callback.step, callback.visit, callback.attempt) != (*visit, given_up):
                continue
            # Stored before the process died, and the next one read it with the run.
            if any(callback.at < crash.at < fact.at for crash in record.crashes):
                yield f"{fact.step}: attempt {given_up} had its answer, and was given up"
