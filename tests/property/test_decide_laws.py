"""Laws of the supervisor, on random processes and whatever may happen to their runs.

`Hand` checks at every decision that deciding changes nothing, is the same when it is repeated, and
that replaying the journal gives the state. Here are the laws that speak of what was decided.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.core.commands import refusal
from beltline.core.decide import Decision
from beltline.core.events import (
    CommandRefused,
    Error,
    RunCancelled,
    RunCompleted,
    StepCompleted,
    StepFailed,
    StepStarted,
    StepWaiting,
)
from beltline.core.explanation import journal_lines, standing
from beltline.core.inputs import (
    Answered,
    AttemptFailed,
    Cancel,
    Deferred,
    GoTo,
    Input,
    Recovered,
    Retry,
    SetAside,
    Skip,
    TimePassed,
)
from beltline.core.model import Process
from tests.unit.core.belt_of_one import Hand, process, step

IDS = "abcde"

ids = st.sampled_from(IDS)
targets = st.lists(ids, unique=True, max_size=2)
RESULTS = st.fixed_dictionaries({"v": st.integers(0, 2)})

WITH: tuple[dict[str, str], ...] = (
    {},
    {"n": "{{ request.n }}", "r": "{{ $random() }}", "at": "{{ $now() }}"},
    {"seen": "{{ a.v }}", "text": "got {{ b.v }} and {{ c.error.kind }}"},
    {"n": "{{ $number(a.v) + 1 }}"},
    {"broken": "{{ $number(request.text) }}"},
)


@st.composite
def processes(draw: st.DrawFn) -> Process:
    return process(*(_step(draw, id) for id in IDS), start=draw(targets) or ["a"])


def _step(draw: st.DrawFn, id: str) -> dict[str, Any]:
    module = draw(st.sampled_from(["work", "work", "work", "wait", "stop"]))
    keys: dict[str, Any] = {
        "next": draw(targets),
        "on_error": draw(targets),
        "prev": draw(st.sampled_from([[], ["x", "y"]])),
        "retry": {"attempts": draw(st.integers(1, 3))},
        "timeout_ms": draw(st.sampled_from([500, 30_000])),
        "max_visits": draw(st.integers(1, 4)),
        "with": draw(st.sampled_from(WITH)) if module == "work" else {"for": "2s"},
    }
    if draw(st.booleans()):
        value = draw(st.integers(0, 2))
        test = {"field": f"{id}.v", "operation": "=", "value": value, "result": draw(targets)}
        keys["condition"] = [test]
    return step(id, module, **keys)


steps_or_none = st.none() | ids
INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(Answered, ids, st.integers(1, 3), st.integers(1, 3), RESULTS, st.just(7)),
    st.builds(
        AttemptFailed,
        ids,
        st.integers(1, 3),
        st.integers(1, 3),
        st.just(Error("exception", "no luck")),
        st.booleans(),
        st.none() | st.integers(0, 5_000),
    ),
    st.builds(Deferred, ids, st.integers(1, 3), st.integers(1, 3)),
    st.just(TimePassed()),
    st.just(Recovered()),
    st.just(SetAside("five crashes")),
    st.builds(Retry, steps_or_none, st.none() | st.just({"n": 9})),
    st.builds(Skip, steps_or_none, RESULTS),
    st.builds(GoTo, ids, steps_or_none),
)


def fitting(hand: Hand, data: st.DataObject) -> Input:
    """Mostly something that the run waits for, else anything."""
    phases = ("dispatched", "deferred")
    asked = [visit for visit in hand.run.open.values() if visit.phase in phases]
    choice: int = data.draw(st.integers(0, 3))
    if asked and choice:
        visit = asked[data.draw(st.integers(0, len(asked) - 1))]
        if choice == 1 and visit.phase == "dispatched":
            return Deferred(visit.step, visit.number, visit.attempt)
        if data.draw(st.booleans()):
            return Answered(visit.step, visit.number, visit.attempt, data.draw(RESULTS), 7)
        error = Error("exception", "no luck")
        return AttemptFailed(
            visit.step, visit.number, visit.attempt, error, data.draw(st.booleans())
        )
    return data.draw(INPUTS)


@settings(max_examples=250, deadline=None)
@given(processes(), st.data())
def test_the_laws_hold_for_whatever_happens(made: Process, data: st.DataObject) -> None:
    hand = Hand(made, {"n": 1, "text": "no number"})
    check(hand, hand.start(), None)
    for _ in range(data.draw(st.integers(0, 20))):
        hand.now += data.draw(st.sampled_from([0, 1, 700, 5_000, 40_000]))
        is_last = data.draw(st.integers(0, 30)) == 0
        input = Cancel("enough") if is_last else fitting(hand, data)
        had_ended = hand.run.ended
        refused = refusal(hand.run, input) if isinstance(input, Retry | Skip | GoTo) else ""
        decision = hand.take(input)
        check(hand, decision, input)
        if had_ended:
            assert all(type(event) is CommandRefused for event in decision.events)
        if refused:
            assert [event.reason for event in decision.events] == [refused]  # type: ignore[union-attr]
        if len(hand.run.open) > 40:
            break


def check(hand: Hand, decision: Decision, input: Input | None) -> None:
    """What holds after every decision."""
    run = hand.run
    events = decision.events
    assert run.seq == sum(len(entry.events) for entry in hand.entries)
    assert [line["seq"] for line in journal_lines(hand.entries)] == list(range(run.seq))
    _check_calls(hand, decision)
    _check_ends(hand, events)
    # The document holds no more than its events put there, and its size is their sum.
    assert run.document_bytes == sum(run.sizes.values())
    # No state is without a reason, and none that goes on by itself is without a time.
    told = standing(run)
    assert told.because
    if told.status in ("moving", "waiting"):
        assert told.wake_at is not None
    assert (told.status == "stopped") == (bool(run.dead) and not run.ended)
    # Nothing that is due is left over for a time that has passed.
    if isinstance(input, TimePassed):
        due = [v for v in run.open.values() if v.phase != "dead" and v.at <= hand.now]
        assert all(visit.phase == "waiting" for visit in due if visit.at == hand.now)
        assert not [visit for visit in due if visit.at < hand.now]


def _check_calls(hand: Hand, decision: Decision) -> None:
    """What leaves the hub is in the same decision's events, with its deadline watched over."""
    started = {(e.step, e.visit, e.attempt) for e in decision.events if type(e) is StepStarted}
    for call in decision.calls:
        assert (call.step.id, call.visit, call.attempt) in started
        visit = hand.run.open[call.step.id, call.visit]
        assert (visit.phase, visit.attempt) == ("dispatched", call.attempt)
        assert visit.at == call.deadline == decision.at + call.step.timeout_ms
        assert visit.input == call.input
    if not hand.run.ended:
        settled = {
            (e.step, e.visit, e.attempt)
            for e in decision.events
            if isinstance(e, StepFailed | StepCompleted)
        }
        waiting = {(e.step, e.visit) for e in decision.events if type(e) is StepWaiting}
        called = {(c.step.id, c.visit, c.attempt) for c in decision.calls}
        expected = {s for s in started if s not in settled and s[:2] not in waiting}
        assert called == expected


def _check_ends(hand: Hand, events: list[Any]) -> None:
    """A run ends once, and exactly when no token is left (or it was stopped or cancelled)."""
    run = hand.run
    ends = [event for event in events if isinstance(event, RunCompleted | RunCancelled)]
    assert len(ends) <= 1
    assert not ends or events[-1] is ends[0]
    every = [event for entry in hand.entries for event in entry.events]
    ended = [event for event in every if isinstance(event, RunCompleted | RunCancelled)]
    assert len(ended) == bool(run.ended)
    assert bool(run.open or run.gathered) != bool(run.ended)
