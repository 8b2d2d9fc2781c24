"""Steps whose handlers answer later: the visit waits, until its answer or its deadline."""

from __future__ import annotations

import msgspec
import pytest

from beltline.core.commands import refusal
from beltline.core.events import Error, StepDeferred, StepFailed
from beltline.core.explanation import moment, standing
from beltline.core.inputs import (
    Answered,
    AttemptFailed,
    Cancel,
    Deferred,
    Input,
    Recovered,
    SetAside,
    TimePassed,
    decode_message,
    encode_message,
)
from tests.unit.core.belt_of_one import NOON, Hand, names, process, step

LINE = (step("a", next_=["b"]), step("b"))


def deferred_hand() -> Hand:
    hand = Hand(process(*LINE))
    hand.start()
    hand.take(Deferred("a", 1, 1))
    return hand


def test_a_deferred_visit_waits_for_its_answer_and_the_run_is_not_moving() -> None:
    hand = Hand(process(*LINE))
    hand.start()
    decision = hand.take(Deferred("a", 1, 1))
    assert decision.events == [StepDeferred("a", 1, 1, NOON + 30_000)]
    assert not decision.calls
    assert (hand.run.status, hand.run.is_moving) == ("waiting", False)
    assert hand.run.next_at == NOON + 30_000
    told = standing(hand.run)
    text = f"a (visit 1) waits for the answer to attempt 1, until {moment(NOON + 30_000)}"
    assert (told.because, told.wake_at) == (text, NOON + 30_000)


def test_its_answer_goes_on_with_the_run() -> None:
    hand = deferred_hand()
    decision = hand.take(Answered("a", 1, 1, {"v": 1}, 7))
    assert names(decision) == ["step-completed a", "step-started b"]
    assert hand.run.is_moving


def test_a_failure_that_comes_later_is_a_failure_like_any_other() -> None:
    hand = deferred_hand()
    [failed] = hand.fail("a", "retry").events
    assert isinstance(failed, StepFailed)
    assert (failed.failures, failed.then) == (1, "retry")


def test_at_the_deadline_it_counts_as_a_timeout() -> None:
    hand = deferred_hand()
    assert not hand.wait(29_999).events
    [failed] = hand.wait(1).events
    assert isinstance(failed, StepFailed)
    assert (failed.error.kind, failed.error.message) == ("timeout", "no answer within 30 s")
    assert (failed.failures, failed.then) == (1, "retry")
    assert not hand.take(Answered("a", 1, 1, {"late": True}, 13)).events


def test_an_answer_before_it_was_deferred_counts_and_the_deferral_comes_too_late() -> None:
    hand = Hand(process(*LINE))
    hand.start()
    assert names(hand.take(Answered("a", 1, 1, {"v": 1}, 7)))[0] == "step-completed a"
    assert not hand.take(Deferred("a", 1, 1)).events


@pytest.mark.parametrize(
    "late",
    [Deferred("a", 1, 1), Deferred("a", 1, 2), Deferred("b", 1, 1), Answered("a", 1, 2, {}, 2)],
)
def test_what_is_of_another_attempt_or_said_twice_is_fenced(late: Input) -> None:
    assert not deferred_hand().take(late).events


def test_a_recovery_calls_again_neither_what_is_deferred_nor_what_is_answered() -> None:
    hand = Hand(process(step("a"), step("b"), step("c"), start=["a", "b", "c"]))
    hand.start()
    hand.take(Deferred("a", 1, 1))
    decision = hand.take(Recovered(frozenset({("b", 1)})))
    assert [(call.step.id, call.attempt) for call in decision.calls] == [("c", 2)]
    assert names(hand.take(Answered("b", 1, 1, {}, 2))) == ["step-completed b"]


def test_what_is_set_aside_and_cancelled() -> None:
    hand = deferred_hand()
    assert not hand.take(SetAside("crashes")).events  # it was not moving at any of them
    assert refusal(hand.run, Cancel()) == ""
    hand.take(Cancel("enough"))
    assert not hand.take(Answered("a", 1, 1, {}, 2)).events
    assert not hand.take(TimePassed()).events


def test_only_pure_steps_of_this_process_are_called_in_place() -> None:
    made = process(*LINE).steps["a"]
    for effect, transport, is_inline in (
        ("pure", "event", True),
        ("pure", "http", False),
        ("idempotent", "event", False),
    ):
        step = msgspec.structs.replace(made, effect=effect, transport=transport)
        assert step.is_inline is is_inline


@pytest.mark.parametrize(
    "answer",
    [
        Answered("a", 1, 2, {"v": [1, None]}, 15),
        AttemptFailed("a", 1, 2, Error("retry", "busy"), False, 5),
    ],
)
def test_answers_are_messages_that_can_be_stored(answer: Input) -> None:
    assert decode_message(encode_message(answer)) == answer
