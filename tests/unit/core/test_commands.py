"""What people may do with a run, and in which words it is refused."""

from __future__ import annotations

import pytest

from beltline.core.commands import refusal
from beltline.core.events import CommandRefused, RunCancelled, StepLeft, StepSkipped, StepStarted
from beltline.core.inputs import (
    Answered,
    Cancel,
    Command,
    GoTo,
    Retry,
    Skip,
    decode_message,
    encode_message,
)
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import Hand, names, process, step

ONCE = {"attempts": 1}


def stopped(*dead: str) -> Hand:
    """A run whose steps `a` and `b` are under way, those named as dead letters."""
    hand = Hand(
        process(
            step("a", next_=["c"], retry=ONCE, with_={"n": "{{ request.n }}"}),
            step("b", next_=["c"], retry=ONCE),
            step("c"),
            start=["a", "b"],
        ),
        {"n": 1},
    )
    hand.start()
    for id in dead:
        hand.fail(id)
    return hand


def test_a_retry_is_another_attempt_of_the_same_visit_with_its_failures_forgiven() -> None:
    hand = stopped("a")
    [call] = hand.take(Retry()).calls
    assert (call.visit, call.attempt, call.input) == (1, 2, {"n": 1})
    assert hand.run.open["a", 1].failures == 0
    assert hand.run.status == "moving"
    hand.answer("a", "mended")
    assert hand.run.document["a"] == "mended"


def test_a_retry_of_all_takes_every_dead_letter() -> None:
    hand = stopped("a", "b")
    assert names(hand.take(Retry())) == ["step-started a", "step-started b"]


def test_a_retry_of_one_step_leaves_the_run_stopped_by_the_other() -> None:
    hand = stopped("a", "b")
    assert names(hand.take(Retry("b"))) == ["step-started b"]
    assert hand.run.status == "stopped"


def test_a_retry_that_fails_again_stops_the_run_again() -> None:
    hand = stopped("a")
    hand.take(Retry())
    assert names(hand.fail("a")) == ["step-failed a", "run-stopped"]


def test_an_edited_retry_is_a_new_visit_with_what_was_given() -> None:
    hand = stopped("a")
    decision = hand.take(Retry("a", {"n": 2}, by="Ada"))
    [call] = decision.calls
    assert (call.visit, call.attempt, call.input) == (2, 1, {"n": 2})
    left, started = decision.events
    assert isinstance(left, StepLeft)
    assert left.reason == "retried with other parameters (Ada)"
    assert isinstance(started, StepStarted)
    assert started.given == {"n": 2}
    assert ("a", 1) not in hand.run.open


def test_an_answer_to_the_visit_before_the_edit_is_fenced_off() -> None:
    hand = stopped("a")
    hand.take(Retry("a", {"n": 2}))
    assert not hand.take(Answered("a", 1, 1, "late", 6)).events


def test_a_skip_gives_the_result_and_goes_on_as_if_completed() -> None:
    hand = stopped("a")
    decision = hand.take(Skip("a", {"ID": 5}, by="Ada"))
    skipped = decision.events[0]
    assert isinstance(skipped, StepSkipped)
    assert (skipped.to, skipped.reason) == (("c",), "skipped by a person (Ada)")
    assert hand.run.document["a"] == {"ID": 5}
    assert hand.standing == ["b", "c"]
    assert hand.run.status == "moving"


def test_a_skip_follows_the_conditions() -> None:
    ways = [{"field": "a.ok", "operation": "=", "value": True, "result": ["c"]}]
    hand = Hand(process(step("a", condition=ways, next_=["b"], retry=ONCE), step("b"), step("c")))
    hand.start()
    hand.fail("a")
    assert names(hand.take(Skip("a", {"ok": True}))) == ["step-skipped a", "step-started c"]


def test_a_skip_whose_condition_fails_is_refused_and_the_letter_stays() -> None:
    ways = [{"if": "$number(a) > 1", "result": ["b"]}]
    hand = Hand(process(step("a", condition=ways, retry=ONCE), step("b")))
    hand.start()
    hand.fail("a")
    [refused] = hand.take(Skip("a", "x")).events
    assert isinstance(refused, CommandRefused)
    assert "condition of a" in refused.reason
    assert hand.run.status == "stopped"


def test_a_skip_that_would_fill_the_document_is_refused_with_the_limit() -> None:
    hand = stopped("a")
    [refused] = hand.take(Skip("a", "x" * LIMITS.document_bytes)).events
    assert isinstance(refused, CommandRefused)
    assert "document_bytes" in refused.reason


def test_going_to_another_step_takes_the_token_there() -> None:
    hand = stopped("a")
    decision = hand.take(GoTo("b", by="Ada"))
    assert names(decision) == ["step-left a", "step-started b"]
    assert [call.visit for call in decision.calls] == [2]
    assert hand.run.status == "moving"


def test_going_to_the_same_step_is_a_new_visit() -> None:
    hand = stopped("a")
    [call] = hand.take(GoTo("a")).calls
    assert (call.step.id, call.visit, call.attempt) == ("a", 2, 1)


def test_going_to_a_join_gathers_there() -> None:
    hand = Hand(
        process(
            step("a", next_=["j"], retry=ONCE),
            step("b", next_=["j"]),
            step("j", prev=["a", "b"]),
            start=["a", "b"],
        )
    )
    hand.start()
    hand.fail("a")
    assert names(hand.take(GoTo("j"))) == ["step-left a"]
    assert names(hand.answer("b")) == ["step-completed b", "step-started j"]


def test_a_cancel_ends_the_run_and_fences_what_is_under_way() -> None:
    hand = stopped("a")
    [ended] = hand.take(Cancel("a double", by="Ada")).events
    assert ended == RunCancelled("a double (Ada)")
    assert hand.run.status == "cancelled"
    assert not hand.take(Answered("b", 1, 1, "late", 6)).events


@pytest.mark.parametrize(
    ("dead", "command", "words"),
    [
        ((), Retry(), "no dead letter in the run"),
        (("a",), Retry("b"), "no dead letter at 'b'"),
        (("a",), Retry("z"), "no step 'z' in example"),
        ((), Skip(), "no dead letter in the run"),
        (("a", "b"), Skip(), "dead letters at a, b: name the step"),
        (("a", "b"), GoTo("c"), "dead letters at a, b: name the step"),
        (("a",), GoTo("z"), "no step 'z' in example"),
        (("a",), GoTo("c", "b"), "no dead letter at 'b'"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_journal(
    dead: tuple[str, ...], command: Command, words: str
) -> None:
    hand = stopped(*dead)
    assert words in refusal(hand.run, command)
    decision = hand.take(command)
    [refused] = decision.events
    assert isinstance(refused, CommandRefused)
    assert words in refused.reason
    assert not decision.calls


@pytest.mark.parametrize("command", [Retry(), Skip("a"), GoTo("c"), Cancel()])
def test_an_ended_run_refuses_everything(command: Command) -> None:
    hand = stopped()
    hand.take(Cancel())
    [refused] = hand.take(command).events
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "the run is cancelled"


@pytest.mark.parametrize(
    "command",
    [Retry("a", {"n": [1, None]}, "Ada"), Skip("a", {"x": 1}), GoTo("b", "a", "Ada"), Cancel("no")],
)
def test_a_command_comes_back_as_it_was_written(command: Command) -> None:
    assert decode_message(encode_message(command)) == command
