"""The checks of routes, held to a slow reference that plays every run of small random processes.

The reference knows only the rules of tokens, routing and joins; it shares no code with the checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.definition.certainty import finished_before
from beltline.definition.parallel import find_meetings
from beltline.definition.ways import Exits, Ways, components

STATES = 3_000
"""Where a process has more states than this the rest is not played: what was seen must hold."""


class Graph:
    """A small process: per step the lists of steps that it may go to, and the joins."""

    def __init__(self, exits: list[Exits], start: tuple[int, ...], joins: frozenset[int]) -> None:
        self.exits = exits
        self.start = start
        self.joins = joins

    def __repr__(self) -> str:
        return f"Graph({self.exits}, start={self.start}, joins={sorted(self.joins)})"

    def choices(self, step: int) -> list[tuple[int, ...]]:
        """Everything that can happen when a step is done: its outcomes, `next`, an error."""
        exit_ = self.exits[step]
        ways = [*exit_.outcomes, exit_.next]
        return [*ways, exit_.on_error] if exit_.on_error else ways

    def sources(self, join: int) -> set[int]:
        """The steps with a way to `join`."""
        found: set[int] = set()
        grows = True
        while grows:
            grows = False
            for step in range(len(self.exits)):
                targets = {target for way in self.choices(step) for target in way}
                if step not in found and (join in targets or targets & (found - {join})):
                    found.add(step)
                    grows = True
        return found


@st.composite
def graphs(draw: st.DrawFn, *, loops: bool) -> Graph:
    count = draw(st.integers(2, 6))

    def group(step: int) -> st.SearchStrategy[tuple[int, ...]]:
        low = 0 if loops else step + 1
        if low >= count:
            return st.just(())
        targets = st.lists(st.integers(low, count - 1), max_size=3, unique=True)
        return targets.map(tuple)

    exits = []
    for step in range(count):
        outcomes = draw(st.lists(group(step), max_size=2))
        on_error = draw(st.one_of(st.just(()), group(step)))
        has_routing = bool(outcomes)
        exits.append(
            Exits(
                on_timeout=(),
                next=draw(group(step)),
                outcomes=tuple(outcome for outcome in outcomes if outcome),
                on_error=on_error,
                is_fixed=not has_routing and not on_error,
            )
        )
    start = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=2, unique=True))
    joins = draw(st.frozensets(st.integers(0, count - 1)))
    return Graph(exits, tuple(start), joins)


State = tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]
"""Steps that run (sorted, with repeats), joins that gather, steps that have finished."""


def play(graph: Graph) -> Iterator[tuple[int, frozenset[int], tuple[int, ...]]]:
    """Every start of a step in any run: the step, what has finished by then, and what runs or
    waits beside it.
    """
    sources = {join: graph.sources(join) for join in graph.joins}

    def arrive(state: State, targets: tuple[int, ...]) -> State:
        running, gathering, done = state
        arrived = [target for target in targets if target not in graph.joins]
        joined = [target for target in targets if target in graph.joins]
        return tuple(sorted([*running, *arrived])), tuple(sorted({*gathering, *joined})), done

    def fire(state: State) -> State:
        """Lets joins fire as long as one can."""
        while True:
            running, gathering, done = state
            for join in gathering:
                others = {*running, *gathering} - {join}
                # A token that runs in the join itself may come back to it.
                others |= {join} if join in running else set()
                if not others & sources[join]:
                    break
            else:
                if running or not gathering:
                    return state
                join = gathering[0]
            rest = tuple(other for other in gathering if other != join)
            state = (tuple(sorted([*running, join])), rest, done)
            starts.append((join, done, (*running, *rest)))

    starts: list[tuple[int, frozenset[int], tuple[int, ...]]] = []
    first: State = ((), (), frozenset())
    begun = arrive(first, graph.start)
    starts.extend((step, frozenset(), begun[0]) for step in begun[0])
    waiting = [fire(begun)]
    seen: set[State] = set()
    while waiting and len(seen) < STATES:
        state = waiting.pop()
        if state in seen or len(state[0]) > 6:
            continue
        seen.add(state)
        running, gathering, done = state
        for index, step in enumerate(running):
            if step in running[:index]:
                continue
            rest = running[:index] + running[index + 1 :]
            for targets in graph.choices(step):
                after = arrive((rest, gathering, done | {step}), targets)
                starts.extend(
                    (target, done | {step}, after[0])
                    for target in targets
                    if target not in graph.joins
                )
                waiting.append(fire(after))
        yield from starts
        starts.clear()
    yield from starts


def ways_of(graph: Graph) -> Ways:
    return Ways(graph.exits, graph.start, graph.joins)


@settings(max_examples=400, deadline=None)
@given(graphs(loops=True))
def test_what_is_said_to_have_finished_has_finished_in_every_run(graph: Graph) -> None:
    finished = finished_before(ways_of(graph))
    for step, done, _ in play(graph):
        certain = {other for other in range(len(graph.exits)) if finished[step] >> other & 1}
        assert certain <= done, (graph, step, certain, done)


@settings(max_examples=400, deadline=None)
@given(graphs(loops=False))
def test_without_a_meeting_no_step_but_a_join_starts_twice(graph: Graph) -> None:
    """Counted along each run: a step that starts has not been started or finished before."""
    if find_meetings(ways_of(graph)).found:
        return
    for step, done, running in play(graph):
        assert step not in done
        assert running.count(step) <= 1


@settings(max_examples=300, deadline=None)
@given(graphs(loops=False))
def test_what_is_not_certain_is_missing_in_some_run_without_joins(graph: Graph) -> None:
    """Where nothing joins, the sets are exact: each step left out is missing in a run."""
    if len(graph.start) > 1 or any(len(way) > 1 for exit_ in graph.exits for way in exit_.groups):
        return
    plain = Graph(graph.exits, graph.start, frozenset())
    finished = finished_before(ways_of(plain))
    always: dict[int, frozenset[int]] = {}
    for step, done, _ in play(plain):
        always[step] = always.get(step, done) & done
    for step, done in always.items():
        certain = {other for other in range(len(plain.exits)) if finished[step] >> other & 1}
        assert certain == done


@settings(max_examples=300, deadline=None)
@given(graphs(loops=True))
def test_components_are_the_steps_that_lead_to_each_other(graph: Graph) -> None:
    ways = ways_of(graph)
    reach = {step: {step} for step in ways.order}
    for _ in ways.order:
        for step in ways.order:
            for target in ways.successors[step]:
                reach[step] |= reach[target]
    found = components(ways.successors, ways.order)
    assert sorted(step for members in found for step in members) == sorted(ways.order)
    place = {step: index for index, members in enumerate(found) for step in members}
    for one in ways.order:
        for other in ways.order:
            together = other in reach[one] and one in reach[other]
            assert together == (place[one] == place[other])
            if other in reach[one]:
                assert place[one] <= place[other]
