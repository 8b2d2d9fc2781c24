"""`call`: what a parent and its child decide, and what they tell each other."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.child import Child, Parent, child_id
from beltline.core.events import ChildStarted, ChildStopped, RunCancelled
from beltline.core.explanation import standing
from beltline.core.inputs import Cancel, ChildBegun, ChildEnded, ChildHalted, Retry
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import ID, NOON, Hand, names, process, step

CHILD = child_id(ID, "c", 1, 1, NOON)


def calling(**keys: Any) -> dict[str, Any]:
    params = {"process": "other", "request": {"n": "{{ request }}"}}
    return step("c", "call", **{"with_": params, "next_": ["after"]} | keys)


def parent(**keys: Any) -> Hand:
    return Hand(process(calling(**keys), step("after"), step("mend"), step("b")), 5)


def child(*steps: dict[str, Any], waits: bool = True, depth: int = 1, output: Any = None) -> Hand:
    told = {"run": "01a", "step": "c", "visit": 1, "waits": waits, "depth": depth}
    return Hand(process(*steps, output=output), 5, {"parent": told})


def test_a_child_is_started_by_the_decision_and_its_id_follows_from_that() -> None:
    hand = parent()
    decision = hand.start()
    where = Parent(ID, "c", 1, waits=True, depth=1)
    assert decision.children == [Child(CHILD, "other", {"n": 5}, where)]
    assert decision.events[-1] == ChildStarted("c", 1, CHILD, "other", True)
    assert CHILD[14] == "7"
    assert int(CHILD.replace("-", "")[:12], 16) == NOON
    assert (hand.run.status, hand.run.next_at) == ("waiting", None)
    assert standing(hand.run).because == f"c (visit 1) waits for the run {CHILD} of 'other'"


def test_the_end_of_the_child_gives_the_result_of_the_step() -> None:
    hand = parent()
    hand.start()
    ended = ChildEnded("c", 1, CHILD, "completed", {"n": 1})
    assert hand.take(ended).messages == []
    assert hand.standing == ["after"]
    assert hand.run.document["c"] == {"n": 1}
    assert hand.take(ended).events == []


@pytest.mark.parametrize("other", [("c", 1, ID), ("c", 2, CHILD), ("b", 1, CHILD)])
def test_the_end_of_another_run_moves_nothing(other: tuple[str, int, str]) -> None:
    hand = parent()
    hand.start()
    assert hand.take(ChildEnded(*other, "completed")).events == []


def test_who_does_not_wait_goes_on_once_the_child_is_in_the_commit() -> None:
    hand = parent(with_={"process": "other", "wait": False})
    decision = hand.start()
    assert not decision.children[0].parent.waits
    hand.take(ChildBegun("c", 1, CHILD))
    assert hand.standing == ["after"]
    assert hand.run.document["c"] == {"run": CHILD}


def test_a_run_that_is_done_leaves_what_it_does_not_wait_for_alone() -> None:
    for params, input in (
        ({"process": "other", "wait": False}, ChildBegun("c", 1, CHILD)),
        ({"process": "other"}, ChildEnded("c", 1, CHILD, "completed", 1)),
    ):
        hand = Hand(process(calling(with_=params, next_=[])), 5)
        hand.start()
        decision = hand.take(input)
        assert hand.run.ended == "completed"
        assert decision.messages == []


@pytest.mark.parametrize(
    ("input", "kind", "words"),
    [
        (ChildBegun("c", 1, CHILD, "there is no process 'other'"), "process", "no process"),
        (ChildEnded("c", 1, CHILD, "cancelled", None, "enough"), "child", "cancelled: enough"),
    ],
)
def test_a_child_that_comes_to_nothing_fails_the_step(input: Any, kind: str, words: str) -> None:
    hand = parent()
    hand.start()
    hand.take(input)
    error = hand.run.dead[0].error
    assert error is not None
    assert error.kind == kind
    assert words in error.message
    again = hand.take(Retry())
    assert again.children[0].id == child_id(ID, "c", 1, 2, NOON) != CHILD


def test_a_child_that_comes_to_nothing_follows_on_error() -> None:
    hand = parent(on_error=["mend"])
    hand.start()
    hand.take(ChildEnded("c", 1, CHILD, "cancelled"))
    assert hand.standing == ["mend"]


def test_a_child_that_stops_leaves_its_parent_waiting_with_that_reason() -> None:
    hand = parent()
    hand.start()
    decision = hand.take(ChildHalted("c", 1, CHILD, "a: no luck"))
    assert decision.events == [ChildStopped("c", 1, CHILD, "a: no luck")]
    assert standing(hand.run).because.endswith("of 'other', which stopped: a: no luck")
    assert hand.run.status == "waiting"
    hand.take(ChildEnded("c", 1, CHILD, "completed", 1))
    assert hand.standing == ["after"]


def test_a_parent_that_ends_cancels_the_child_that_it_waits_for() -> None:
    hand = parent()
    hand.start()
    ((run, message),) = hand.take(Cancel("enough")).messages
    assert run == CHILD
    assert isinstance(message, Cancel)
    assert ID in message.reason
    assert hand.take(ChildEnded("c", 1, CHILD, "completed")).events == []


def test_a_child_is_not_started_by_a_decision_that_ends_the_run() -> None:
    both = Hand(process(calling(), step("after"), step("s", "stop"), start=["c", "s"]), 5)
    decision = both.start()
    assert (decision.children, decision.messages) == ([], [])


def test_a_child_tells_its_parent_what_it_has_come_to() -> None:
    hand = child(step("a", next_=["b"]), step("b"))
    hand.start()
    assert hand.answer("a", 1).messages == []
    assert hand.answer("b", {"n": 2}).messages == [
        ("01a", ChildEnded("c", 1, ID, "completed", {"n": 2}))
    ]
    with_output = child(step("a"), output={"of": "{{ a }}"})
    with_output.start()
    assert with_output.answer("a", 1).messages == [
        ("01a", ChildEnded("c", 1, ID, "completed", {"of": 1}))
    ]


def test_a_child_tells_its_parent_that_it_stopped_or_was_cancelled() -> None:
    hand = child(step("a"))
    hand.start()
    told = hand.fail("a", "reject", final=True).messages
    assert told == [("01a", ChildHalted("c", 1, ID, "a: no luck"))]
    decision = hand.take(Cancel("enough", "Olga"))
    assert decision.events == [RunCancelled("enough (Olga)")]
    assert decision.messages == [
        ("01a", ChildEnded("c", 1, ID, "cancelled", None, "enough (Olga)"))
    ]


def test_a_child_that_nobody_waits_for_tells_nothing() -> None:
    hand = child(step("a"), waits=False)
    hand.start()
    assert hand.answer("a", 1).messages == []


def test_runs_that_call_each_other_without_end_come_to_an_end() -> None:
    assert child(calling(), step("after")).start().children[0].parent.depth == 2
    decision = child(calling(), step("after"), depth=LIMITS.call_depth).start()
    assert decision.children == []
    assert "step-failed c" in names(decision)


def test_a_child_reads_where_it_was_started() -> None:
    hand = child(step("a", with_={"of": "{{ parent.run }}"}))
    assert hand.start().calls[0].input == {"of": "01a"}
    assert hand.run.parent == Parent("01a", "c", 1, waits=True, depth=1)


@pytest.mark.parametrize("params", [{}, {"process": 5}, {"process": "a", "wait": "no"}])
def test_what_is_no_call_is_refused_in_words(params: dict[str, Any]) -> None:
    hand = Hand(process(calling(with_=params), step("after")), 5)
    hand.start()
    error = hand.run.dead[0].error
    assert error is not None
    assert (error.kind, "`process`" in error.message) == ("input", True)
