"""Steps that the engine itself runs: stop, respond, and what a run gives as its result."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.events import AnswerGiven, AnswerIgnored, RunCompleted, StepFailed
from beltline.core.inputs import Answered
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import Hand, names, process, step

# stop


def test_stop_ends_the_whole_run_and_fences_what_comes_later() -> None:
    stopping = step("s", "stop", with_={"reason": "a duplicate"}, next_=["b"])
    hand = Hand(process(step("a"), stopping, step("b"), step("c", next_=["s"]), start=["a", "c"]))
    hand.start()
    decision = hand.answer("c")
    assert names(decision)[1:] == ["step-started s", "step-completed s", "run-completed"]
    assert decision.events[-1] == RunCompleted(None, "a duplicate")
    assert (hand.run.status, hand.standing) == ("completed", [])
    assert hand.take(Answered("a", 1, 1, {"late": True})).events == []


def test_a_run_that_stop_ended_gives_its_output_too() -> None:
    stopping = step("s", "stop", with_={"reason": "no deal"})
    hand = Hand(process(stopping, output={"why": "{{ s.reason }}"}))
    hand.start()
    assert hand.run.last_result == {"why": "no deal"}


# The result


@pytest.mark.parametrize(
    ("output", "result"),
    [
        (None, {"n": 2}),
        ("{{ a.n }}", 1),
        ("{{ a.missing }}", None),
        ({"both": ["{{ a.n }}", "{{ b.n }}"]}, {"both": [1, 2]}),
    ],
)
def test_a_result_is_the_output_or_the_last_completed_step_s(output: Any, result: Any) -> None:
    hand = Hand(process(step("a", next_=["b"]), step("b"), output=output))
    hand.start()
    hand.answer("a", {"n": 1})
    hand.answer("b", {"n": 2})
    assert hand.run.last_result == result


# respond


def test_the_first_answer_counts_and_a_second_one_is_noted() -> None:
    first = step("r", "respond", with_={"body": {"n": "{{ request }}"}}, next_=["again"])
    hand = Hand(process(first, step("again", "respond", with_={"status": 500})), 5)
    decision = hand.start()
    given = AnswerGiven("r", 1, 200, {}, {"n": 5})
    assert given in decision.events
    assert hand.run.answer == given
    assert [event.step for event in decision.events if isinstance(event, AnswerIgnored)] == [
        "again"
    ]
    assert hand.run.document["r"] == {"answered": True}
    assert hand.run.document["again"] == {"answered": False}


def test_an_answer_of_an_earlier_decision_counts_too() -> None:
    answer = step("r", "respond", with_={"body": "{{ a.n }}"}, next_=["a"], condition=[])
    hand = Hand(process(step("a", next_=["r"]), answer))
    hand.start()
    hand.answer("a", {"n": 1})
    hand.answer("a", {"n": 2})
    assert hand.run.answer == AnswerGiven("r", 1, 200, {}, 1)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"status": "{{ request }}"}, "status"),
        ({"status": 100}, "status"),
        ({"status": True}, "status"),
        ({"headers": {"X": "{{ request }}"}}, "header"),
        ({"headers": {"X": "a\r\nb"}}, "header"),
        ({"headers": "{{ request }}"}, "headers"),
    ],
)
def test_what_makes_no_answer_is_refused_in_words(params: dict[str, Any], words: str) -> None:
    hand = Hand(process(step("r", "respond", with_=params)), "x\ny")
    failed = hand.start().events[-2]
    assert isinstance(failed, StepFailed)
    assert (failed.error.kind, failed.then) == ("input", "dead-letter")
    assert words in failed.error.message
    assert hand.run.answer is None


def test_an_answer_has_a_bound() -> None:
    hand = Hand(process(step("r", "respond", with_={"body": "{{ request }}"})), "x" * 2_000_000)
    hand.start()
    assert "limit answer_bytes" in hand.run.dead[0].error.message  # type: ignore[union-attr]


def test_steps_of_the_engine_that_go_round_in_one_decision_come_to_an_end() -> None:
    ring = [f"r{number}" for number in range(8)]
    steps = [
        step(id, "respond", next_=[ring[(number + 1) % 8]], max_visits=10**6)
        for number, id in enumerate(ring)
    ]
    hand = Hand(process(*steps))
    decision = hand.start()
    assert len(decision.events) < LIMITS.decision_events + 10
    assert "limit decision_events" in hand.run.dead[0].error.message  # type: ignore[union-attr]
