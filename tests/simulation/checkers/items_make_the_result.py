"""Of a step that starts a run for each item so many are under way at once; none begins after one
has failed, or again once it is done; the results stand in the order of the items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.simulation.record import Fact, Record


def check(record: Record) -> Iterator[str]:
    """Follows the items of each visit through its journal."""
    for key, facts in record.journals().items():
        definition = record.definitions[facts[0].process]
        steps = {step["id"]: step for step in definition["steps"]}
        for text in _of_run(facts, steps):
            yield f"run {key.hex()}, {text}"


def _of_run(facts: list[Fact], steps: dict[str, Any]) -> Iterator[str]:
    under_way: dict[tuple[str, int], set[str]] = {}
    results: dict[tuple[str, int], dict[int, Any]] = {}
    failed: set[tuple[str, int]] = set()
    for fact in facts:
        place = (fact.fields.get("step", ""), fact.fields.get("visit", 0))
        if fact.name == "step-started":
            failed.discard(place)
        elif fact.name == "child-started" and fact.item is not None:
            under_way.setdefault(place, set()).add(fact.run)
            if len(under_way[place]) > steps[fact.step]["with"]["concurrency"]:
                yield f"{fact.step}: {len(under_way[place])} are under way"
            if place in failed:
                yield f"{fact.step}: item {fact.item} began after one had failed"
            if fact.item in results.get(place, {}):
                yield f"{fact.step}: item {fact.item} began, and was done"
        elif fact.name in ("item-completed", "item-failed"):
            under_way[place].discard(fact.run)
            if fact.name == "item-failed":
                failed.add(place)
            else:
                results.setdefault(place, {})[fact.item] = fact.result
        elif fact.name == "step-completed" and steps[fact.step]["module"] == "for-each":
            asked = steps[fact.step]["with"]["items"]
            found = results.get(place, {})
            expected = [found.get(item) for item in range(len(asked))]
            if json.dumps(fact.result) != json.dumps({"results": expected}):
                yield f"{fact.step}: it has {fact.result}, and its items {expected}"
