"""Of several steps that answer the sender only the first does; each of the others says that it came
too late.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Compares what the steps say that they did with their order."""
    for key, facts in record.journals().items():
        said = [fact for fact in facts if fact.name in ("answer-given", "answer-ignored")]
        names = [fact.name for fact in said]
        expected = ["answer-given", *["answer-ignored"] * (len(said) - 1)][: len(said)]
        if names != expected:
            yield f"run {key.hex()}: its answers are {names}"
        done = {
            (fact.step, fact.visit): fact.result["answered"]
            for fact in facts
            if fact.name == "step-completed"
            and isinstance(fact.result, dict)
            and "answered" in fact.result
        }
        told = {(fact.step, fact.visit): fact.name == "answer-given" for fact in said}
        if done != told:
            yield f"run {key.hex()}: steps say {done}, its answers {told}"
