"""A visit has one result, that of the attempt under way; a run begins once and ends once."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Fact, Record

ENDS = ("run-completed", "run-cancelled")


HANDLERS = ("work@1", "note@1")  # which tell in their results which attempt they answer


def check(record: Record) -> Iterator[str]:
    """Reads every journal for results, starts and ends."""
    collected = {k for d in record.departures if d.how == "collected" for k in d.keys}
    for key, facts in record.journals().items():
        if key in collected:
            continue  # it went on in another run: `collected_once` looks at it
        for text in _of_run(facts):
            yield f"run {key.hex()}: {text}"


def _of_run(facts: list[Fact]) -> Iterator[str]:
    results: set[tuple[str, int]] = set()
    attempts: dict[tuple[str, int], int] = {}
    waits_for_retry: set[tuple[str, int]] = set()
    modules: dict[str, str] = {}
    ended = False
    for number, fact in enumerate(facts):
        if (fact.name == "run-started") != (number == 0):
            yield f"event {number} is {fact.name}"
        if ended and fact.name not in ("command-refused", "event-late"):
            yield f"{fact.name} after its end"
        ended = ended or fact.name in ENDS
        if fact.name == "step-started":
            attempts[fact.step, fact.visit] = fact.attempt
            modules[fact.step] = fact.module
            waits_for_retry.discard((fact.step, fact.visit))
        if fact.name == "step-failed":
            waits_for_retry.add((fact.step, fact.visit))
        if fact.name not in ("step-completed", "step-skipped"):
            continue
        visit = (fact.step, fact.visit)
        if visit in results:
            yield f"{fact.step}, visit {fact.visit}, has two results"
        results.add(visit)
        if fact.name == "step-completed":
            if fact.attempt != attempts.get(visit):
                yield f"{fact.step}: attempt {fact.attempt} was given up, and gave the result"
            if visit in waits_for_retry:
                yield f"{fact.step}: attempt {fact.attempt} had failed, and gave the result"
            if modules.get(fact.step) in HANDLERS and fact.result.get("by") != fact.attempt:
                yield f"{fact.step}: the result is that of another attempt"
