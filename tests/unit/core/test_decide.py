"""The supervisor: routing, parallel branches, joins, loops.

`Hand` checks at every decision that deciding changes nothing, comes out the same twice, and that
the journal alone tells the state.
"""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.events import RunCompleted, RunStarted, StepCompleted, StepFailed
from beltline.core.inputs import (
    Skip,
)
from tests.unit.core.belt_of_one import Hand, names, process, step

WHEN_FULL = {"field": "a.value", "operation": "!|empty", "result": ["full"]}
ONCE = {"attempts": 1}


# Routing


def test_a_run_goes_through_its_steps_and_ends() -> None:
    hand = Hand(process(step("a", next_=["b"]), step("b")))
    first = hand.start()
    assert first.events[0] == RunStarted("example", 3, ("a",))
    assert [call.step.id for call in first.calls] == ["a"]
    assert names(hand.answer("a", {"n": 1})) == ["step-completed a", "step-started b"]
    last = hand.answer("b", {"n": 2})
    assert names(last) == ["step-completed b", "run-completed"]
    assert hand.run.status == "completed"
    assert hand.run.document["a"] == {"n": 1}
    assert hand.run.last_result == {"n": 2}


@pytest.mark.parametrize(("value", "to"), [("x", ("full",)), ("", ("empty",))])
def test_a_condition_decides_the_way_and_the_journal_says_why(value: str, to: tuple[str]) -> None:
    hand = Hand(
        process(
            step("a", condition=[WHEN_FULL], next_=["empty"]),
            step("full"),
            step("empty"),
        )
    )
    hand.start()
    completed = hand.answer("a", {"value": value}).events[0]
    assert isinstance(completed, StepCompleted)
    assert completed.to == to
    assert completed.because is not None
    assert completed.because.by == (("condition[0]",) if value else ())
    assert completed.because.saw == {"a.value": value}


def test_an_outcome_of_no_steps_ends_the_branch() -> None:
    hand = Hand(
        process(
            step("a", condition=[{"field": "a", "operation": "exists", "result": []}], next_=["b"]),
            step("b"),
        )
    )
    hand.start()
    assert names(hand.answer("a", {}))[-1] == "run-completed"


def test_match_all_takes_the_union_without_repeats() -> None:
    items = [
        {"field": "a", "operation": "exists", "result": ["b", "c"]},
        {"field": "a", "operation": "exists", "result": ["c", "d"]},
    ]
    hand = Hand(process(step("a", condition=items, match="all"), step("b"), step("c"), step("d")))
    hand.start()
    hand.answer("a", 1)
    assert hand.standing == ["b", "c", "d"]


def test_a_condition_that_fails_ends_the_visit_without_a_retry() -> None:
    broken = {"if": "$number(a.text) > 1", "result": ["b"]}
    hand = Hand(process(step("a", condition=[broken]), step("b")))
    hand.start()
    failed = hand.answer("a", {"text": "not a number"}).events[0]
    assert isinstance(failed, StepFailed)
    assert (failed.error.kind, failed.then) == ("expression", "dead-letter")
    assert "condition" in failed.error.message
    assert hand.run.document["a"]["error"]["kind"] == "expression"


def test_a_step_sees_what_the_steps_before_it_gave() -> None:
    hand = Hand(
        process(
            step("a", next_=["b"]),
            step(
                "b", with_={"id": "{{ a.ID }}", "missing": "{{ a.none }}", "n": "{{ request.n }}"}
            ),
        ),
        {"n": 7},
    )
    hand.start()
    [call] = hand.answer("a", {"ID": 5}).calls
    assert call.input == {"id": 5, "n": 7}


def test_parameters_that_fail_make_a_dead_letter_that_was_started() -> None:
    hand = Hand(process(step("a", with_={"n": "{{ $number(request.n) }}"})), {"n": "x"})
    decision = hand.start()
    assert names(decision) == ["run-started", "step-started a", "step-failed a", "run-stopped"]
    assert not decision.calls
    assert hand.run.status == "stopped"


def test_the_declared_output_is_the_runs_result() -> None:
    hand = Hand(process(step("a", next_=["b"]), step("b"), output={"id": "{{ a.ID }}"}))
    hand.start()
    hand.answer("a", {"ID": 5})
    ended = hand.answer("b", {}).events[-1]
    assert isinstance(ended, RunCompleted)
    assert ended.result == {"id": 5}
    assert hand.run.last_result == {"id": 5}


def test_an_output_that_fails_is_told_in_its_place() -> None:
    hand = Hand(process(step("a"), output="{{ $number(a) }}"))
    hand.start()
    ended = hand.answer("a", "x").events[-1]
    assert isinstance(ended, RunCompleted)
    assert ended.result["error"]["kind"] == "expression"
    assert hand.run.status == "completed"


def test_expressions_of_chance_come_out_the_same_when_they_are_repeated() -> None:
    hand = Hand(process(step("a", next_=["b"]), step("b", with_={"r": "{{ $random() }}"})))
    hand.start()
    [call] = hand.answer("a", 1).calls  # Hand replays it, which resolves it again
    assert 0 <= call.input["r"] < 1


# Branches and joins


def test_branches_move_on_their_own() -> None:
    hand = Hand(process(step("a", next_=["b", "c"]), step("b", next_=["d"]), step("c"), step("d")))
    hand.start()
    hand.answer("a")
    assert hand.standing == ["b", "c"]
    hand.answer("b")
    assert hand.standing == ["c", "d"]
    hand.answer("d")
    assert hand.run.is_moving
    hand.answer("c")
    assert hand.run.status == "completed"


def diamond(**keys: Any) -> Hand:
    hand = Hand(
        process(
            step("a", next_=["b", "c"], **keys),
            step("b", next_=["j"], on_error=["j"], retry=ONCE),
            step("c", next_=["j"], retry=ONCE),
            step("j", prev=["b", "c"]),
        )
    )
    hand.start()
    return hand


def test_a_join_waits_for_every_way_and_runs_once() -> None:
    hand = diamond()
    hand.answer("a")
    assert names(hand.answer("b")) == ["step-completed b"]
    assert hand.run.gathered == {"j": 1}
    assert names(hand.answer("c")) == ["step-completed c", "step-started j"]
    assert hand.run.gathered == {}
    assert names(hand.answer("j"))[-1] == "run-completed"


def test_a_way_that_was_not_taken_is_not_waited_for() -> None:
    hand = diamond(condition=[{"field": "a", "operation": "=", "value": 1, "result": ["c"]}])
    hand.answer("a", 1)
    assert names(hand.answer("c")) == ["step-completed c", "step-started j"]


def test_a_dead_letter_on_the_way_is_waited_for_and_may_be_mended() -> None:
    hand = diamond()
    hand.answer("a")
    hand.answer("b")
    assert names(hand.fail("c")) == ["step-failed c", "run-stopped"]
    assert hand.standing == ["c"]
    assert names(hand.take(Skip("c", {}))) == ["step-skipped c", "step-started j"]


def test_the_way_of_an_error_leads_to_a_join_too() -> None:
    hand = diamond()
    hand.answer("a")
    hand.fail("b")
    assert names(hand.answer("c")) == ["step-completed c", "step-started j"]


def test_of_joins_that_wait_for_each_other_the_first_in_file_order_fires() -> None:
    hand = Hand(
        process(
            step("a", next_=["j", "k"]),
            step("j", prev=["a", "k"], next_=["k"]),
            step("k", prev=["a", "j"], next_=["j"]),
        )
    )
    hand.start()
    assert names(hand.answer("a")) == ["step-completed a", "step-started j"]
    assert hand.run.gathered == {"k": 1}


def test_a_step_without_a_join_runs_once_per_arrival() -> None:
    hand = Hand(
        process(
            step("a", next_=["b", "c"]), step("b", next_=["d"]), step("c", next_=["d"]), step("d")
        )
    )
    hand.start()
    hand.answer("a")
    hand.answer("b")
    hand.answer("c")
    assert list(hand.run.open) == [("d", 1), ("d", 2)]


# Loops


def test_a_loop_visits_a_step_again_and_the_last_result_stands() -> None:
    again = [{"field": "a.more", "operation": "=", "value": True, "result": ["a"]}]
    hand = Hand(process(step("a", condition=again)))
    hand.start()
    hand.answer("a", {"more": True, "n": 1})
    assert hand.open("a") == (2, 1)
    hand.answer("a", {"more": False, "n": 2})
    assert hand.run.document["a"]["n"] == 2
    assert hand.run.status == "completed"


def test_a_runaway_ends_in_a_dead_letter_that_names_its_limit() -> None:
    hand = Hand(process(step("a", next_=["a"], max_visits=3, on_error=["a"])))
    hand.start()
    hand.answer("a")
    hand.answer("a")
    decision = hand.answer("a")
    assert not decision.calls
    failed = decision.events[-2]
    assert isinstance(failed, StepFailed)
    assert (failed.visit, failed.error.kind, failed.then) == (4, "limit", "dead-letter")
    assert "max_visits (3)" in failed.error.message


def test_a_loop_of_steps_whose_parameters_fail_ends_at_the_same_limit() -> None:
    broken = {"n": "{{ $number(request) }}"}
    hand = Hand(process(step("a", with_=broken, on_error=["a"], max_visits=3)), "x")
    hand.start()
    assert hand.run.visits == {"a": 4}
    assert hand.run.status == "stopped"
    assert "max_visits (3)" in hand.run.document["a"]["error"]["message"]


@pytest.mark.parametrize(
    "loop",
    [
        step("a", with_={"x": "{{ request.x }}"}, on_error=["a"], max_visits=3),
        step("a", "wait", with_={"for": "{{ request.none }}"}, on_error=["a"], max_visits=3),
    ],
)
def test_a_loop_of_steps_that_cannot_begin_ends_at_the_same_limit(loop: dict[str, object]) -> None:
    hand = Hand(process(loop), {"x": "\ud800"})
    hand.start()
    assert hand.run.visits == {"a": 4}
    assert hand.run.status == "stopped"
