"""A run that starts another one has exactly that child, takes its result and no other, and does not
leave it behind when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.simulation.record import Fact, Record

ENDS = ("run-completed", "run-cancelled")
GIVEN_UP = (*ENDS, "undo-started")  # what the parent waited for


def check(record: Record) -> Iterator[str]:
    """Compares the journals of parents with those of their children."""
    journals = record.journals()
    expected: set[bytes] = set()
    for key, facts in journals.items():
        for number, fact in enumerate(facts):
            if fact.name != "child-started":
                continue
            child = bytes.fromhex(fact.run.replace("-", ""))
            later = facts[number + 1 :]
            end = next((other for other in later if _ends(other, fact)), None)
            if end is not None and _came_to_nothing(end, fact):
                continue
            expected.add(child)
            if child not in record.requests:
                yield f"run {key.hex()}: its child {fact.run} is not there"
            elif not fact.waits:
                for other in journals.get(child, []):
                    if other.name == "run-cancelled" and other.reason.startswith("its parent"):
                        yield f"run {key.hex()}: it cancelled {fact.run}, and does not wait for it"
            elif end is not None:
                for text in _of_end(end, journals.get(child, [])):
                    yield f"run {key.hex()}, {fact.step}: {text}"
    there = {key for key, request in record.requests.items() if b"parent" in request.meta}
    for key in there - expected:
        yield f"run {key.hex()} is the child of nobody"


def _ends(fact: Fact, started: Fact) -> bool:
    if fact.name in GIVEN_UP:
        return True
    if started.item is not None:
        return fact.name in ("item-completed", "item-failed") and fact.run == started.run
    if fact.name not in ("step-completed", "step-failed"):
        return False
    return (fact.step, fact.visit) == (started.step, started.visit)


def _came_to_nothing(end: Fact, started: Fact) -> bool:
    """Whether no child was to be started: the run ended there and then, or was set aside."""
    if end.name in GIVEN_UP:
        return end.row == started.row
    return end.name in ("step-failed", "item-failed") and end.error["kind"] == "process"


def _of_end(end: Fact, child: list[Fact]) -> Iterator[str]:
    last = next((fact for fact in child if fact.name in ENDS), None)
    if last is None:
        yield "its child had not ended"
    elif end.name in ("step-completed", "item-completed"):
        result = _result(child, last)
        if last.name != "run-completed" or json.dumps(end.result) != json.dumps(result):
            yield f"it has {end.result}, and its child {last.name} {result}"
        if last.at > end.at:
            yield "it was done before its child"
    elif end.name in ("step-failed", "item-failed") and last.name != "run-cancelled":
        yield f"it failed, and its child has {last.name}"
    elif end.name in GIVEN_UP and last.name == "run-completed" and not _was_told(child):
        yield "it has ended, and its child went on to its own end"


def _was_told(child: list[Fact]) -> bool:
    """Whether a child that had ended by itself was told to end, too late."""
    return any(fact.name == "command-refused" and fact.command == "cancel" for fact in child)


def _result(child: list[Fact], last: Fact) -> object:
    if last.result is not None:
        return last.result
    results = [fact.result for fact in child if fact.name in ("step-completed", "step-skipped")]
    return results[-1] if results else None
