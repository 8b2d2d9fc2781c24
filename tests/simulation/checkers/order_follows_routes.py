"""Every run goes where its definition leads: an interpreter of its own walks along each journal.

It reads the definition as its author wrote it and keeps tokens: those that have arrived at a step,
those gathered at a join, and open visits. What the journal says next must be what the tokens allow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.simulation.record import Fact, Record

Step = dict[str, Any]


def check(record: Record) -> Iterator[str]:
    """Walks along every journal."""
    collected = {k for d in record.departures if d.how == "collected" for k in d.keys}
    for key, facts in record.journals().items():
        if key in collected:
            continue  # it went on in another run, and its own has no steps
        request = record.requests.get(key)
        if request is None:
            continue
        walk = Walk(record.definitions[request.process], json.loads(request.body))
        for number, fact in enumerate(facts):
            walk.follow(fact)
            if number + 1 == len(facts) or facts[number + 1].row != fact.row:
                walk.rest()
        for text in walk.wrong:
            yield f"run {key.hex()}: {text}"


class Walk:
    """Where the tokens of one run stand, and what was wrong on the way."""

    def __init__(self, definition: dict[str, Any], request: Any) -> None:
        self.steps: dict[str, Step] = {step["id"]: step for step in definition["steps"]}
        self.begin = definition.get("start") or [definition["steps"][0]["id"]]
        self.document: dict[str, Any] = {"request": request}
        self.arrived: dict[str, int] = {}
        self.gathered: dict[str, int] = {}
        self.again: dict[str, int] = {}  # visits that a person asked for
        self.open: dict[tuple[str, int], str] = {}
        self.halted = False
        self.is_undone = False  # `undone_in_reverse` says what may start then
        self.over = False
        self.wrong: list[str] = []

    def follow(self, fact: Fact) -> None:
        """Takes one event in."""
        match fact.name:
            case "run-started":
                self._expect(fact.to == self.begin, f"it started at {fact.to}")
                self._arrive(fact.to)
            case "step-started":
                self._started(fact)
            case "step-completed" | "step-skipped":
                self._completed(fact)
            case "step-failed":
                self._failed(fact)
            case "step-left":
                self._close(fact)
                if fact.to:
                    self._arrive(fact.to)
                else:
                    self.again[fact.step] = self.again.get(fact.step, 0) + 1
            case "run-completed":
                self._expect(self.halted or not self._tokens(), f"it ended at {self._tokens()}")
                self.over = True
            case "run-cancelled":
                self.over = True
            case "undo-started":
                self.is_undone = True
                self.open.clear()
                self.arrived.clear()
                self.gathered.clear()
                self.again.clear()
            case "run-stopped":
                self._expect("dead" in self.open.values(), "it stopped without a dead letter")
            case _:
                pass  # waits and refusals move no token

    def rest(self) -> None:
        """After a decision: nothing that may start is left waiting, and an empty run is over."""
        if self.over:
            return
        waiting = [step for step, count in self.arrived.items() if count]
        self._expect(not waiting, f"{waiting} were not started")
        self._expect(self._ready_join() is None, f"the join {self._ready_join()} did not fire")
        self._expect(bool(self._tokens()), "no token is left, and it goes on")

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.wrong.append(text)

    def _started(self, fact: Fact) -> None:
        visit = (fact.step, fact.visit)
        if fact.attempt > 1:
            self._expect(visit in self.open, f"attempt {fact.attempt} of {fact.step} at no visit")
            self.open[visit] = "open"
            return
        if self.is_undone:
            pass
        elif self.again.get(fact.step):
            self.again[fact.step] -= 1
        elif self._is_join(fact.step):
            ready = self._ready_join()
            self._expect(ready == fact.step, f"the join {fact.step} fired; ready was {ready}")
            self.gathered.pop(fact.step, None)
        else:
            left = self.arrived.get(fact.step, 0)
            self._expect(left > 0, f"{fact.step} started, and nothing had led there")
            self.arrived[fact.step] = max(0, left - 1)
        if self._is_join(fact.step):
            self.gathered.pop(fact.step, None)
        self.open[visit] = "open"

    def _completed(self, fact: Fact) -> None:
        self._close(fact)
        self.document[fact.step] = fact.result
        step = self.steps[fact.step]
        if step["module"] == "stop" and fact.name == "step-completed" and not self.is_undone:
            self.halted = True
        expected = [] if self.halted or self.is_undone else self._onwards(step)
        is_late = fact.name == "step-completed" and fact.result == {"timed_out": True}
        if is_late and not self.is_undone:
            expected = step["on_timeout"]
        self._expect(fact.to == expected, f"{fact.step} led to {fact.to}, not {expected}")
        self._arrive(fact.to)

    def _failed(self, fact: Fact) -> None:
        visit = (fact.step, fact.visit)
        self._expect(visit in self.open, f"{fact.step} failed and was not open")
        if fact.then == "retry":
            return
        error = fact.error | {"attempts": fact.attempt}
        self.document[fact.step] = {"error": error}
        on_error = self.steps[fact.step].get("on_error", [])
        if fact.then == "dead-letter":
            may_die = (
                not on_error
                or self.is_undone
                or fact.error["kind"] in ("crash", "limit", "expired")
            )
            self._expect(may_die, f"{fact.step} is a dead letter in spite of on_error")
            self.open[visit] = "dead"
        else:
            self._expect(fact.to == on_error, f"{fact.step} failed to {fact.to}, not {on_error}")
            self._close(fact)
            self._arrive(fact.to)

    def _close(self, fact: Fact) -> None:
        closed = self.open.pop((fact.step, fact.visit), None)
        if fact.name in ("step-skipped", "step-left"):
            self._expect(closed == "dead", f"{fact.name} of {fact.step}, which was no dead letter")

    def _arrive(self, to: list[str]) -> None:
        for target in to:
            place = self.gathered if self._is_join(target) else self.arrived
            place[target] = place.get(target, 0) + 1

    def _tokens(self) -> list[str]:
        waiting = [step for step, count in self.arrived.items() if count]
        return [*(step for step, _ in self.open), *waiting, *self.gathered]

    # The definition, read anew

    def _is_join(self, id: str) -> bool:
        return len(self.steps[id].get("prev", ())) > 1

    def _ready_join(self) -> str | None:
        """The join that is to fire now: by the routes, else the first where only joins are left."""
        for join in self.steps:
            if join not in self.gathered:
                continue
            others = [token for token in self._tokens() if token != join]
            others += [step for step, _ in self.open if step == join]
            if not any(join in self._ahead(token) for token in others):
                return join
        if self.open or any(self.arrived.values()) or not self.gathered:
            return None
        return next(step for step in self.steps if step in self.gathered)

    def _ahead(self, id: str) -> set[str]:
        """Every step that a token at `id` can still come to."""
        seen: set[str] = set()
        frontier = [id]
        while frontier:
            step = self.steps[frontier.pop()]
            ways = [*step.get("next", ()), *step.get("on_error", ()), *step.get("on_timeout", ())]
            ways += _targets(step.get("condition", ()))
            for target in ways:
                if target not in seen:
                    seen.add(target)
                    frontier.append(target)
        return seen

    def _onwards(self, step: Step) -> list[str]:
        found = self._outcomes(step.get("condition", []), every=step.get("match") == "all")
        to = found if found is not None else step.get("next", [])
        return list(dict.fromkeys(to))

    def _outcomes(self, items: list[Any], *, every: bool) -> list[str] | None:
        """What a list of items gives; None where no item gives anything."""
        union: list[str] | None = None
        for item in items:
            if self._holds(item):
                found = item.get("result")
                if found is None:
                    found = self._nested(item.get("success"), every=every)
            else:
                found = self._nested(item.get("failure"), every=every)
            if found is not None and not every:
                return list(found)
            if found is not None:
                union = [*(union or []), *found]
        return union

    def _nested(self, items: list[Any] | None, *, every: bool) -> list[str] | None:
        if items is None or all(isinstance(item, str) for item in items):
            return items
        return self._outcomes(items, every=every)

    def _holds(self, item: dict[str, Any]) -> bool:
        root, _, name = item["field"].partition(".")
        place = self.document.get(root)
        value = place.get(name) if isinstance(place, dict) else None
        if item["operation"] == "!|empty":
            return value not in (None, "", [], {})
        assert item["operation"] == "="
        return bool(value == item["value"]) and value is not None


def _targets(items: list[Any]) -> list[str]:
    found: list[str] = []
    for item in items:
        if isinstance(item, str):
            found.append(item)
        else:
            for key in ("result", "success", "failure"):
                found.extend(_targets(item.get(key, [])))
    return found
