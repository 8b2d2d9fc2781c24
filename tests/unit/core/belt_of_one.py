"""One run moved by hand: the supervisor's functions without an engine around them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from beltline.core.condition import compile_routing
from beltline.core.decide import Decision, advance, decide
from beltline.core.events import Entry, Error, Journal
from beltline.core.inputs import Answered, AttemptFailed, Input, Start, TimePassed
from beltline.core.model import Process, RetryPolicy, Step
from beltline.core.run import Run, new_run, replay
from beltline.core.template import compile_value

KEY = bytes(16)
ID = "00000000-0000-0000-0000-000000000000"
NOON = 1_700_000_000_000


def step(id: str, module: str = "work", **keys: Any) -> dict[str, Any]:
    """One step as an author writes it; `next_` stands for `next`."""
    return {"id": id, "module": module} | {key.rstrip("_"): v for key, v in keys.items()}


def process(*steps: dict[str, Any], start: list[str] | None = None, output: Any = None) -> Process:
    """A process from plain steps, compiled by the core's own compilers."""
    ids = [each["id"] for each in steps]
    return Process(
        name="example",
        version=3,
        start=tuple(start or ids[:1]),
        steps={each["id"]: _step(each, ids) for each in steps},
        output=None if output is None else compile_value(output, ids, ())[0],
    )


def _step(each: dict[str, Any], ids: list[str]) -> Step:
    routing = None
    if "condition" in each:
        routing, problems = compile_routing(
            each["condition"],
            match_all=each.get("match") == "all",
            step_ids=ids,
            place=(),
        )
        assert not problems
    template, problems = compile_value(each.get("with", {}), ids, ())
    assert not problems
    return Step(
        id=each["id"],
        module=each["module"],
        implementation=f"{each['module']}@1",
        effect="idempotent",
        input=template,
        routing=routing,
        next=tuple(each.get("next", ())),
        prev=tuple(each.get("prev", ())),
        on_error=tuple(each.get("on_error", ())),
        on_timeout=tuple(each.get("on_timeout", ())),
        undo=each.get("undo", ""),
        retry=RetryPolicy(**each.get("retry", {})),
        timeout_ms=each.get("timeout_ms", 30_000),
        max_visits=each.get("max_visits", 1_000),
    )


class Hand:
    """A run, its journal, and the time; every decision is checked to change nothing by itself, to
    come out the same twice, and to be told whole by the journal.
    """

    def __init__(
        self, process: Process, request: Any = None, meta: dict[str, Any] | None = None
    ) -> None:
        self.request = request
        self.meta = {"id": ID} | (meta or {})
        self.run: Run = self._fresh(process)
        self.now = NOON
        self.entries: list[Entry] = []

    def _fresh(self, process: Process) -> Run:
        return new_run(ID, KEY, process, copy.deepcopy(self.request), self.meta, 0)

    def take(self, input: Input) -> Decision:
        """Decides, checks the laws, and advances."""
        before = snapshot(self.run)
        decision = decide(self.run, input, self.now)
        assert snapshot(self.run) == before, "decide changed the run"
        again = decide(self.run, input, self.now)
        assert again.events == decision.events
        assert [_told(call) for call in again.calls] == [_told(call) for call in decision.calls]
        if decision.events:
            row = Journal.encode(self.now, decision.events)
            advance(self.run, decision)
            self.entries.append(Journal.decode(row))
        told = self._fresh(self.run.process)
        replay(told, self.entries)
        assert snapshot(told) == snapshot(self.run), "the journal tells another state"
        return decision

    def start(self) -> Decision:
        """The first decision."""
        return self.take(Start())

    def answer(self, step: str, result: Any = None, *, visit: int = 0) -> Decision:
        """The open attempt of a step gives its result."""
        found = self.open(step, visit)
        size = len(msgspec.json.encode(result))
        return self.take(Answered(step, found[0], found[1], result, size))

    def fail(self, step: str, kind: str = "exception", **more: Any) -> Decision:
        """The open attempt of a step fails."""
        visit, attempt = self.open(step)
        return self.take(AttemptFailed(step, visit, attempt, Error(kind, "no luck"), **more))

    def wait(self, delay_ms: int) -> Decision:
        """Time passes."""
        self.now += delay_ms
        return self.take(TimePassed())

    def open(self, step: str, visit: int = 0) -> tuple[int, int]:
        """The visit and attempt of a step that are open (the first, or this visit)."""
        for number, attempt in (
            (found.number, found.attempt) for (id, _), found in self.run.open.items() if id == step
        ):
            if visit in (0, number):
                return number, attempt
        raise AssertionError(f"{step} is not open")

    @property
    def standing(self) -> list[str]:
        """The steps with an open visit."""
        return [step for step, _ in self.run.open]


def snapshot(run: Run) -> dict[str, Any]:
    """All of a run's state but its definition, on its own."""
    state = {name: getattr(run, name) for name in run.__struct_fields__ if name != "process"}
    return copy.deepcopy(state)


def _told(call: Any) -> tuple[Any, ...]:
    return call.step.id, call.visit, call.attempt, call.input, call.deadline


def names(decision: Decision) -> list[str]:
    """The names of a decision's events, with the step where there is one."""
    return [
        f"{type(event).__struct_config__.tag} {getattr(event, 'step', '')}".strip()
        for event in decision.events
    ]
