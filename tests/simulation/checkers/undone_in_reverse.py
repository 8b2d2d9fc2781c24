"""A run that is undone undoes each of its completed visits, the last one first, once, one after the
other, and nothing else; and it is over when that is done, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Fact, Record


def check(record: Record) -> Iterator[str]:
    """Compares what follows an order to undo with what came before it."""
    for key, facts in record.journals().items():
        if any(fact.name == "undo-started" for fact in facts):
            steps = record.definitions[facts[0].process]["steps"]
            by_whom = {step["id"]: step["undo"] for step in steps if "undo" in step}
            for text in _of_run(facts, by_whom):
                yield f"run {key.hex()}: {text}"


def _of_run(facts: list[Fact], by_whom: dict[str, str]) -> Iterator[str]:
    begin = next(number for number, fact in enumerate(facts) if fact.name == "undo-started")
    done = [f for f in facts[:begin] if f.name == "step-completed" and f.step in by_whom]
    left = [by_whom[fact.step] for fact in done]
    if list(facts[begin].steps) != [fact.step for fact in reversed(done)]:
        yield f"it said that it undoes {facts[begin].steps}"
    under_way: tuple[str, int] | None = None
    for fact in facts[begin + 1 :]:
        if fact.name == "step-started" and fact.attempt == 1:
            if under_way is not None:
                yield f"{fact.step} began while {under_way[0]} was under way"
            if not left or fact.step != left[-1]:
                yield f"{fact.step} began, and what is left are {left}"
            under_way = (fact.step, fact.visit)
        elif fact.name in ("step-completed", "step-skipped", "step-left"):
            under_way = None
            if fact.name != "step-left":
                left = left[:-1]
        elif fact.name == "step-failed" and fact.to:
            yield f"{fact.step} led to {fact.to}"
        elif fact.name == "run-cancelled" and fact.reason == facts[begin].reason and left:
            yield f"it was over while {left} were left"
        elif fact.name == "run-completed":
            yield "it was completed"
