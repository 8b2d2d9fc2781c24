"""The supervisor when things go wrong or take time: retries, timeouts, waits, fencing, recovery.

`Hand` checks at every decision that deciding changes nothing, comes out the same twice, and that
the journal alone tells the state.
"""

from __future__ import annotations

import pytest

from beltline.core.events import Error, StepFailed
from beltline.core.inputs import (
    EXPIRED,
    Answered,
    AttemptFailed,
    Recovered,
    Retry,
    SetAside,
    Start,
    TimePassed,
)
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import NOON, Hand, names, process, step

ONCE = {"attempts": 1}


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


def test_nothing_goes_on_of_a_request_that_waited_for_too_long_not_even_its_waits() -> None:
    hand = Hand(process(step("w", "wait", with_={"for": "3s"}, next_=["a"]), step("a")))
    hand.start()
    decision = hand.take(SetAside("it waited in its buffer for longer than 4h", EXPIRED))
    assert names(decision) == ["step-failed w", "run-stopped"]
    assert not hand.wait(10_000).events
    assert names(hand.take(Retry())) == ["step-started w", "step-waiting w"]
    assert names(hand.wait(3_000)) == ["step-completed w", "step-started a"]


def test_parameters_that_json_cannot_carry_are_a_dead_letter() -> None:
    surrogate = "\ud800"
    hand = Hand(process(step("a", with_={"x": "{{ request.x }}"}), start=["a"]), {"x": surrogate})
    hand.start()
    assert hand.run.document["a"]["error"]["kind"] == "input"
