"""The supervisor: routing, branches, joins, errors, retries, waits, fencing.

`Hand` checks at every decision that deciding changes nothing, comes out the same twice, and that
the journal alone tells the state.
"""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.events import Error, RunCompleted, RunStarted, StepCompleted, StepFailed
from beltline.core.inputs import (
    Answered,
    AttemptFailed,
    Recovered,
    Retry,
    SetAside,
    Skip,
    Start,
    TimePassed,
)
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import NOON, Hand, names, process, step

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


# Errors and retries


def test_a_failure_is_tried_again_after_its_wait_with_the_same_parameters() -> None:
    hand = Hand(process(step("a", with_={"r": "{{ $random() }}"})))
    [first] = hand.start().calls
    failed = hand.fail("a").events[0]
    assert isinstance(failed, StepFailed)
    assert failed.then == "retry"
    assert failed.retry_at is not None
    assert NOON + 800 <= failed.retry_at <= NOON + 1_000
    assert hand.run.status == "waiting"
    assert not hand.wait(failed.retry_at - NOON - 1).events
    [second] = hand.wait(1).calls
    assert (second.visit, second.attempt, second.input) == (1, 2, first.input)


def test_waits_grow_by_the_factor_up_to_the_most() -> None:
    retry = {"attempts": 6, "first_ms": 1_000, "factor": 3.0, "max_ms": 10_000}
    hand = Hand(process(step("a", retry=retry)))
    hand.start()
    for most in (1_000, 3_000, 9_000, 10_000, 10_000):
        failed = hand.fail("a").events[0]
        assert isinstance(failed, StepFailed)
        assert failed.retry_at is not None
        assert most * 0.8 <= failed.retry_at - hand.now <= most
        hand.wait(failed.retry_at - hand.now)
    assert hand.fail("a").events[0].then == "dead-letter"  # type: ignore[union-attr]
    assert hand.run.status == "stopped"


def test_the_spread_of_waits_differs_between_steps_and_not_between_replays() -> None:
    hand = Hand(process(step("a", next_=["b"]), step("b"), start=["a", "b"]))
    hand.start()
    waits = [hand.fail(id).events[0].retry_at for id in "ab"]  # type: ignore[union-attr]
    assert waits[0] != waits[1]


def test_a_handler_may_ask_for_a_longer_wait_but_not_a_shorter_one() -> None:
    hand = Hand(process(step("a"), step("b"), start=["a", "b"]))
    hand.start()
    assert hand.fail("a", after_ms=60_000).events[0].retry_at == NOON + 60_000  # type: ignore[union-attr]
    [failed] = hand.fail("b", after_ms=1).events
    assert isinstance(failed, StepFailed)
    assert failed.retry_at is not None
    assert failed.retry_at >= NOON + 800


def test_a_handler_cannot_ask_for_more_than_the_longest_wait() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    failed = hand.fail("a", after_ms=10**15).events[0]
    assert failed.retry_at == NOON + LIMITS.retry_wait_ms  # type: ignore[union-attr]


def test_a_rejection_goes_straight_on() -> None:
    hand = Hand(process(step("a", on_error=["m"]), step("m")))
    hand.start()
    assert names(hand.fail("a", "reject", final=True)) == ["step-failed a", "step-started m"]
    assert hand.run.document["a"] == {
        "error": {"kind": "reject", "message": "no luck", "attempts": 1}
    }


def test_out_of_attempts_the_other_branches_go_on() -> None:
    hand = Hand(process(step("a", retry=ONCE), step("b"), start=["a", "b"]))
    hand.start()
    assert names(hand.fail("a")) == ["step-failed a", "run-stopped"]
    assert hand.run.status == "stopped"
    assert hand.run.is_moving
    hand.answer("b")
    assert hand.run.status == "stopped"
    assert not hand.run.is_moving


def test_the_run_is_said_to_stop_once() -> None:
    hand = Hand(process(step("a", retry=ONCE), step("b", retry=ONCE), start=["a", "b"]))
    hand.start()
    assert names(hand.fail("a")) == ["step-failed a", "run-stopped"]
    assert names(hand.fail("b")) == ["step-failed b"]


def test_a_long_message_is_cut_before_it_is_kept() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    error = Error("exception", "x" * 100_000)
    failed = hand.take(AttemptFailed("a", 1, 1, error)).events[0]
    assert len(failed.error.message) == LIMITS.error_message_bytes + 1  # type: ignore[union-attr]


def test_a_result_that_fills_the_document_is_a_failure_that_names_the_limit() -> None:
    hand = Hand(process(step("a"), step("b"), start=["a", "b"]))
    hand.start()
    hand.take(Answered("a", 1, 1, "x", LIMITS.document_bytes - 10))
    failed = hand.take(Answered("b", 1, 1, "x", 11)).events[0]
    assert isinstance(failed, StepFailed)
    assert failed.error.kind == "limit"
    assert "document_bytes" in failed.error.message


def test_a_result_in_place_of_an_earlier_one_is_counted_once() -> None:
    hand = Hand(process(step("a", next_=["a"])))
    hand.start()
    for visit in (1, 2, 3):
        size = LIMITS.document_bytes - 10
        assert names(hand.take(Answered("a", visit, 1, "x", size)))[0] == "step-completed a"
    assert hand.run.document_bytes == LIMITS.document_bytes - 10


# Time


def test_an_attempt_without_an_answer_times_out_and_is_tried_again() -> None:
    hand = Hand(process(step("a", timeout_ms=4_000)))
    [call] = hand.start().calls
    assert call.deadline == NOON + 4_000
    assert hand.run.next_at == NOON + 4_000
    assert not hand.wait(3_999).events
    failed = hand.wait(1).events[0]
    assert isinstance(failed, StepFailed)
    assert (failed.error.kind, failed.then) == ("timeout", "retry")
    assert "4 s" in failed.error.message


def test_a_timeout_runs_anew_for_every_attempt() -> None:
    hand = Hand(process(step("a", timeout_ms=4_000)))
    hand.start()
    hand.wait(4_000)
    [call] = hand.wait(2_000).calls
    assert call.deadline == hand.now + 4_000


def test_a_wait_ends_at_its_time() -> None:
    hand = Hand(process(step("w", "wait", with_={"for": "5m"}, next_=["b"]), step("b")))
    decision = hand.start()
    assert names(decision) == ["run-started", "step-started w", "step-waiting w"]
    assert not decision.calls
    assert (hand.run.status, hand.run.next_at) == ("waiting", NOON + 300_000)
    assert names(hand.wait(300_000)) == ["step-completed w", "step-started b"]
    assert hand.run.document["w"] == {"until": NOON + 300_000}


def test_a_wait_until_a_moment_that_has_passed_ends_at_once() -> None:
    hand = Hand(process(step("w", "wait", with_={"until": "2001-01-01T00:00:00Z"})))
    hand.start()
    assert names(hand.wait(0)) == ["step-completed w", "run-completed"]


@pytest.mark.parametrize(
    "given", [{}, {"for": "long"}, {"for": 5}, {"for": "5m", "until": "x"}, {"for": "100000d"}]
)
def test_a_wait_that_cannot_be_understood_is_a_dead_letter(given: dict[str, object]) -> None:
    hand = Hand(process(step("w", "wait", with_=given)))
    hand.start()
    assert hand.run.status == "stopped"
    assert hand.run.document["w"]["error"]["kind"] == "input"


def test_stop_ends_the_whole_run_and_calls_nothing_more() -> None:
    hand = Hand(
        process(
            step("a", next_=["b", "s"]),
            step("b"),
            step("c"),
            step("s", "stop", with_={"reason": "enough"}),
            start=["a", "c"],
        )
    )
    hand.start()
    decision = hand.answer("a")
    assert names(decision)[-2:] == ["step-completed s", "run-completed"]
    assert not decision.calls
    assert hand.run.status == "completed"
    assert not hand.take(Answered("c", 1, 1, {}, 2)).events


# Fencing


@pytest.mark.parametrize(
    "late",
    [
        Answered("a", 1, 1, "late", 6),
        Answered("a", 2, 1, "never asked", 6),
        Answered("b", 1, 1, "not there yet", 6),
        AttemptFailed("a", 1, 1, Error("exception", "late")),
    ],
)
def test_what_comes_too_late_is_fenced_off(late: Answered | AttemptFailed) -> None:
    hand = Hand(process(step("a", next_=["b"], timeout_ms=1_000), step("b")))
    hand.start()
    hand.wait(1_000)
    assert not hand.take(late).events  # between two attempts
    hand.wait(1_000)
    assert hand.open("a") == (1, 2)
    assert not hand.take(late).events  # while the second is under way
    hand.answer("a", "good")
    assert hand.run.document["a"] == "good"


def test_a_duplicate_answer_is_fenced_off() -> None:
    hand = Hand(process(step("a", next_=["a"])))
    hand.start()
    hand.answer("a", 1)
    assert not hand.take(Answered("a", 1, 1, 2, 1)).events
    assert hand.run.document["a"] == 1


def test_a_second_start_changes_nothing() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    assert not hand.take(Start()).events


def test_nothing_moves_an_ended_run() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    hand.answer("a")
    for input in (TimePassed(), Recovered(), SetAside("x"), Start(), Answered("a", 1, 1, 1, 1)):
        assert not hand.take(input).events


# Recovery


def test_recovery_asks_again_under_the_same_visit_and_counts_no_failure() -> None:
    hand = Hand(
        process(
            step("a", with_={"r": "{{ $random() }}"}),
            step("w", "wait", with_={"for": "1h"}),
            start=["a", "w"],
        )
    )
    [first] = hand.start().calls
    hand.now += 10_000
    decision = hand.take(Recovered())
    assert names(decision) == ["step-started a"]
    [call] = decision.calls
    assert (call.visit, call.attempt, call.input) == (1, 2, first.input)
    assert call.deadline == hand.now + 30_000
    assert hand.run.open["a", 1].failures == 0


def test_what_is_set_aside_is_a_dead_letter_whatever_the_policy_says() -> None:
    hand = Hand(
        process(
            step("a", on_error=["b"]),
            step("b"),
            step("w", "wait", with_={"for": "1h"}),
            start=["a", "w"],
        )
    )
    hand.start()
    decision = hand.take(SetAside("five crashes"))
    assert names(decision) == ["step-failed a", "run-stopped"]
    assert decision.events[0].then == "dead-letter"  # type: ignore[union-attr]
    assert hand.run.open["w", 1].phase == "waiting"
    assert names(hand.take(Retry())) == ["step-started a"]


def test_parameters_that_json_cannot_carry_are_a_dead_letter() -> None:
    surrogate = "\ud800"
    hand = Hand(process(step("a", with_={"x": "{{ request.x }}"}), start=["a"]), {"x": surrogate})
    hand.start()
    assert hand.run.document["a"]["error"]["kind"] == "input"
