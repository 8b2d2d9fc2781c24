"""Visits, attempts and waits keep to what the definition allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.record import Fact, Record

DEFAULT_RETRY = {"attempts": 5, "first": "1s", "factor": 2, "max": "300s"}


WAITS = ("wait-event", "approve", "call", "for-each")  # what they wait for fails once


def check(record: Record) -> Iterator[str]:
    """Counts in every journal."""
    for key, facts in record.journals().items():
        definition = record.definitions[facts[0].process]
        steps = {step["id"]: step for step in definition["steps"]}
        for text in _of_run(facts, steps):
            yield f"run {key.hex()}: {text}"


def _of_run(facts: list[Fact], steps: dict[str, dict[str, Any]]) -> Iterator[str]:
    visits: dict[str, int] = {}
    attempts: dict[tuple[str, int], int] = {}
    failures: dict[tuple[str, int], int] = {}
    due: dict[tuple[str, int], int] = {}
    for fact in facts:
        if fact.name == "step-started":
            visit = (fact.step, fact.visit)
            if fact.attempt == 1:
                if fact.visit != visits.get(fact.step, 0) + 1:
                    yield f"{fact.step}: visit {fact.visit} follows {visits.get(fact.step, 0)}"
                visits[fact.step] = fact.visit
            elif fact.attempt != attempts.get(visit, 0) + 1:
                yield f"{fact.step}: attempt {fact.attempt} follows {attempts.get(visit, 0)}"
            attempts[visit] = fact.attempt
            if fact.reason == "retried by a person":
                failures[visit] = 0
            if fact.reason == "retry" and fact.time < due.get(visit, 0):
                yield f"{fact.step}: tried again {due[visit] - fact.time} ms too early"
        elif fact.name == "step-failed" and fact.error["kind"] not in ("crash", "limit", "expired"):
            visit = (fact.step, fact.visit)
            failures[visit] = failures.get(visit, 0) + 1
            yield from _of_failure(fact, failures[visit], steps[fact.step])
            due[visit] = fact.retry_at or 0
            if fact.then != "dead-letter" and fact.visit > steps[fact.step].get("max_visits", 1000):
                yield f"{fact.step}: went on after visit {fact.visit}"


def _of_failure(fact: Fact, failures: int, step: dict[str, Any]) -> Iterator[str]:
    retry = DEFAULT_RETRY | step.get("retry", {})
    if fact.failures != failures:
        yield f"{fact.step}: failure {failures} is called number {fact.failures}"
    is_final = fact.error["kind"] in ("reject", "input") or step["module"] in WAITS
    may_retry = failures < retry["attempts"] and not is_final
    if (fact.then == "retry") != may_retry:
        yield f"{fact.step}: after failure {failures} of {retry['attempts']} comes {fact.then}"
    if fact.then == "retry":
        grown = _ms(retry["first"]) * retry["factor"] ** (failures - 1)
        wait = fact.retry_at - fact.time
        least = 0.8 * min(grown, _ms(retry["max"]))
        if wait < least - 1:
            yield f"{fact.step}: {wait} ms after failure {failures}, not {least:g} at least"
        if wait > 7_000:  # what a handler may ask for here
            yield f"{fact.step}: {wait} ms after failure {failures}"


def _ms(duration: str) -> int:
    return int(duration.removesuffix("s")) * 1_000
