"""Joins, parallel branches and loops against a reference that enumerates ways.

The reference is written from the text of the design and shares no code with the core: it knows a
graph as lists of targets, keeps tokens by hand, and finds out whether a token can come to a join by
walking every way there is. It is slow, and graphs here are small; all graphs of up to three steps
are tried, and random ones beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, product
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.core.condition import compile_routing
from beltline.core.decide import advance, decide
from beltline.core.events import Error
from beltline.core.graph import Reach, ready_join
from beltline.core.inputs import Answered, AttemptFailed, Input, Skip, Start
from beltline.core.model import Process, RetryPolicy, Step
from beltline.core.run import Run, new_run
from beltline.core.template import compile_value

NOTHING = compile_value({}, (), ())[0]
NAMES = "abcdef"


class Graph(msgspec.Struct, frozen=True):
    """Steps in file order; where each can lead when it completes, and where when it fails."""

    ways: dict[str, tuple[str, ...]]
    joins: frozenset[str]
    on_error: dict[str, tuple[str, ...]] = {}
    start: tuple[str, ...] = ("a",)


# The reference


def comes_to(graph: Graph, token: str, join: str) -> bool:
    """Whether a token standing at a step can come to a join, by walking every way of it."""
    ways = [[token]]
    while ways:
        way = ways.pop()
        for target in (*graph.ways[way[-1]], *graph.on_error.get(way[-1], ())):
            if target == join:
                return True
            if target not in way:
                ways.append([*way, target])
    return False


class Reference:
    """The tokens of one run, moved by the text of the design."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.open: list[tuple[str, int]] = []
        self.gathered: dict[str, int] = {}
        self.visits = dict.fromkeys(graph.ways, 0)
        self.started: list[str] = []
        self._arrive(graph.start)

    def leave(self, visit: tuple[str, int], to: tuple[str, ...]) -> None:
        """A visit has ended, and its token goes to these steps."""
        self.open.remove(visit)
        self.started = []
        self._arrive(to)

    @property
    def is_over(self) -> bool:
        return not self.open and not self.gathered

    def _arrive(self, to: tuple[str, ...]) -> None:
        for step in to:
            if step in self.graph.joins:
                self.gathered[step] = self.gathered.get(step, 0) + 1
            else:
                self._start(step)
        while (join := self.next_join()) is not None:
            del self.gathered[join]
            self._start(join)

    def _start(self, step: str) -> None:
        self.visits[step] += 1
        self.open.append((step, self.visits[step]))
        self.started.append(step)

    def next_join(self) -> str | None:
        """The join that fires now."""
        standing = [step for step, _ in self.open]
        waiting = [step for step in self.graph.ways if step in self.gathered]
        for join in waiting:
            others = standing + [other for other in waiting if other != join]
            if not any(comes_to(self.graph, other, join) for other in others):
                return join
        if waiting and not standing:
            return waiting[0]
        return None


# The same graph for the core


def as_process(graph: Graph) -> Process:
    """Each step's result says where it leads: `{"go": [targets]}`."""
    return Process("graph", 1, graph.start, {id: _as_step(graph, id) for id in graph.ways})


def _as_step(graph: Graph, id: str) -> Step:
    items = [
        {"field": f"{id}.go", "operation": "contains", "value": target, "result": [target]}
        for target in graph.ways[id]
    ]
    routing = None
    if items:
        routing, _ = compile_routing(items, match_all=True, step_ids=list(graph.ways), place=())
    return Step(
        id=id,
        module="work",
        implementation="work@1",
        effect="idempotent",
        input=NOTHING,
        routing=routing,
        prev=("x", "y") if id in graph.joins else (),
        on_error=graph.on_error.get(id, ()),
        retry=RetryPolicy(attempts=1),
    )


class Both:
    """One run in the core and in the reference, which must agree after every move."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.reference = Reference(graph)
        self.run: Run = new_run("run", bytes(16), as_process(graph), None, {}, 0)
        self.moves = 0
        self._decide(Start())

    def moves_of(self, visit: tuple[str, int]) -> list[tuple[str, ...] | None]:
        """What can happen to an open visit: every choice of ways, or (None) a failure."""
        ways = self.graph.ways[visit[0]]
        choices = chain.from_iterable(combinations(ways, n) for n in range(len(ways) + 1))
        return [*choices, None] if self.graph.on_error else list(choices)

    def move(self, visit: tuple[str, int], to: tuple[str, ...] | None) -> None:
        step, number = visit
        self.moves += 1
        is_dead = self.run.open[visit].phase == "dead"
        if to is None and not is_dead:
            on_error = self.graph.on_error.get(step)
            if on_error:
                self.reference.leave(visit, on_error)
            else:
                self.reference.started = []
            self._decide(AttemptFailed(step, number, 1, Error("reject", "no"), final=True))
            return
        to = to or ()
        self.reference.leave(visit, to)
        if is_dead:
            dead = [other for other in self.run.dead if other.step == step]
            assert dead[0].number == number
            self._decide(Skip(step, {"go": list(to)}))
        else:
            self._decide(Answered(step, number, 1, {"go": list(to)}, 10))

    def movable(self) -> list[tuple[str, int]]:
        """The open visits that can be moved: of a step's dead letters the first."""
        first_dead: set[str] = set()
        movable = []
        for visit in self.reference.open:
            if self.run.open[visit].phase == "dead":
                if visit[0] in first_dead:
                    continue
                first_dead.add(visit[0])
            movable.append(visit)
        return movable

    def _decide(self, input: Input) -> None:
        decision = decide(self.run, input, 1_000)
        advance(self.run, decision)
        reference = self.reference
        assert sorted(call.step.id for call in decision.calls) == sorted(reference.started)
        assert sorted(self.run.open) == sorted(reference.open)
        assert self.run.gathered == reference.gathered
        assert (self.run.ended == "completed") == reference.is_over


# All small graphs


def subsets(items: str | list[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


def all_graphs(size: int, *, to_itself: bool) -> Iterator[Graph]:
    """Every graph of this many steps, every choice of joins."""
    ids = NAMES[:size]
    targets = [[t for t in ids if to_itself or t != id] for id in ids]
    for ways in product(*(list(subsets(each)) for each in targets)):
        for joins in subsets(ids):
            yield Graph(dict(zip(ids, ways, strict=True)), frozenset(joins))


@pytest.mark.parametrize(("size", "to_itself"), [(1, True), (2, True), (3, True)])
def test_which_join_fires_in_every_small_graph_with_every_place_of_its_tokens(
    size: int, to_itself: bool
) -> None:
    ids = NAMES[:size]
    for graph in all_graphs(size, to_itself=to_itself):
        if len(graph.joins) < size:
            continue  # which steps are joins does not matter here: every one may have gathered
        process = as_process(graph)
        reference = Reference(Graph(graph.ways, graph.joins, start=()))
        for gathered in subsets(ids):
            for standing in subsets(ids):
                reference.gathered = dict.fromkeys(gathered, 1)
                reference.open = [(step, 1) for step in standing]
                expected = reference.next_join()
                assert ready_join(process, gathered, standing) == expected, (graph, gathered)


def test_the_sources_of_a_join_in_every_graph_of_four_steps() -> None:
    for graph in all_graphs(4, to_itself=False):
        if graph.joins:
            continue
        steps = {
            id: Step(id, "work", "work@1", "idempotent", NOTHING, next=ways)
            for id, ways in graph.ways.items()
        }
        reach = Reach(Process("graph", 1, ("a",), steps))
        for join in graph.ways:
            expected = {token for token in graph.ways if comes_to(graph, token, join)}
            assert reach.sources(join) == expected, graph


def walk_everywhere(graph: Graph, depth: int) -> int:
    """Every sequence of moves of a run, up to a depth; gives the number of runs walked."""
    walked = 0
    pending: list[list[tuple[tuple[str, int], Any]]] = [[]]
    while pending:
        path = pending.pop()
        both = Both(graph)
        for visit, to in path:
            both.move(visit, to)
        walked += 1
        if len(path) < depth:
            for visit in both.movable():
                pending.extend([*path, (visit, to)] for to in both.moves_of(visit))
    return walked


def test_every_run_of_every_graph_of_two_steps() -> None:
    assert sum(walk_everywhere(graph, 3) for graph in all_graphs(2, to_itself=True)) > 1_000


@pytest.mark.slow
def test_every_short_run_of_every_graph_of_three_steps() -> None:
    assert sum(walk_everywhere(graph, 4) for graph in all_graphs(3, to_itself=False)) > 10_000


# Random larger graphs


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    ids = NAMES[: draw(st.integers(2, 6))]
    some = st.lists(st.sampled_from(ids), unique=True, max_size=3).map(tuple)
    return Graph(
        ways={id: draw(some) for id in ids},
        joins=draw(st.frozensets(st.sampled_from(ids))),
        on_error={id: to for id in ids if (to := draw(st.just(()) | some))},
        start=draw(st.lists(st.sampled_from(ids), unique=True, min_size=1, max_size=3).map(tuple)),
    )


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_a_run_of_any_graph_goes_as_the_reference_says(graph: Graph, data: st.DataObject) -> None:
    both = Both(graph)
    while both.moves < 25 and (movable := both.movable()) and len(movable) < 30:
        visit = data.draw(st.sampled_from(movable))
        both.move(visit, data.draw(st.sampled_from(both.moves_of(visit))))


def test_the_reference_can_tell_a_wrong_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "beltline.core.turn.ready_join", lambda process, gathered, live: next(iter(gathered))
    )
    with pytest.raises(AssertionError):
        sum(walk_everywhere(graph, 2) for graph in all_graphs(3, to_itself=False))
