"""Cancel with undo: what completed visits did is undone, the last one first."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.child import child_id
from beltline.core.events import CommandRefused, RunCancelled, UndoStarted
from beltline.core.explanation import standing
from beltline.core.inputs import Answered, Cancel, ChildEnded, GoTo, Resolve, Retry, SetAside, Skip
from tests.unit.core.belt_of_one import ID, NOON, Hand, names, process, step

UNDO = Cancel("a mistake", "Olga", undo=True)


def booked(*more: dict[str, Any], **keys: Any) -> Hand:
    """Two things are done, the third is under way."""
    hand = Hand(
        process(
            step("car", undo="no-car", next_=["hotel"]),
            step("hotel", undo="no-hotel", next_=["pay"]),
            step("pay", undo="no-pay"),
            step("no-car", with_={"id": "{{ car.id }}"}),
            step("no-hotel", **{"with_": {"id": "{{ hotel.id }}"}} | keys),
            step("no-pay"),
            step("other"),
            *more,
        )
    )
    hand.start()
    hand.answer("car", {"id": 1})
    hand.answer("hotel", {"id": 2})
    return hand


def test_what_was_done_is_undone_from_the_last_and_then_the_run_is_cancelled() -> None:
    hand = booked()
    decision = hand.take(UNDO)
    assert decision.events[0] == UndoStarted("a mistake (Olga)", ("hotel", "car"))
    assert [(call.step.id, call.input) for call in decision.calls] == [("no-hotel", {"id": 2})]
    words = "no-hotel (visit 1) is under way, attempt 1; it is being undone, 2 visits are left"
    assert standing(hand.run).because == words
    decision = hand.answer("no-hotel")
    assert [(call.step.id, call.input) for call in decision.calls] == [("no-car", {"id": 1})]
    decision = hand.answer("no-car")
    assert decision.events[-1] == RunCancelled("a mistake (Olga)")
    assert (hand.run.status, hand.standing) == ("cancelled", [])


def test_what_was_under_way_is_given_up_and_its_answer_fenced() -> None:
    hand = booked()
    hand.take(UNDO)
    assert hand.take(Answered("pay", 1, 1, {"id": 3})).events == []
    assert "pay" not in hand.run.document


def test_of_a_loop_each_visit_is_undone_with_its_own_result() -> None:
    again = [{"field": "a.n", "operation": "<", "value": 3, "result": ["a"]}]
    looping = step("a", undo="u", condition=again, next_=["b"])
    hand = Hand(process(looping, step("b"), step("u", with_={"n": "{{ a.n }}"})))
    hand.start()
    for number in (1, 2, 3):
        hand.answer("a", {"n": number})
    seen = [hand.take(UNDO).calls[0].input]
    seen += [hand.answer("u").calls[0].input for _ in range(2)]
    assert seen == [{"n": 3}, {"n": 2}, {"n": 1}]
    assert names(hand.answer("u"))[-1] == "run-cancelled"


def test_where_nothing_is_to_be_undone_the_run_is_cancelled_at_once() -> None:
    hand = Hand(process(step("a", undo="u"), step("u")))
    hand.start()
    assert names(hand.take(UNDO)) == ["undo-started", "run-cancelled"]


def test_what_a_person_skipped_was_not_done_and_is_not_undone() -> None:
    hand = Hand(process(step("a", undo="u", next_=["b"]), step("b"), step("u")))
    hand.start()
    hand.fail("a", "reject", final=True)
    hand.take(Skip("a", {"id": 1}))
    assert names(hand.take(UNDO)) == ["undo-started", "run-cancelled"]


def test_a_run_with_a_dead_letter_is_undone_and_stopped_no_more() -> None:
    hand = booked()
    hand.fail("pay", "reject", final=True)
    hand.take(UNDO)
    assert hand.run.status == "moving"
    assert hand.standing == ["no-hotel"]


def test_routes_and_on_error_of_a_step_that_undoes_are_not_followed() -> None:
    hand = booked(next_=["other"], on_error=["other"])
    hand.take(UNDO)
    hand.fail("no-hotel", "reject", final=True)
    assert (hand.run.status, hand.run.dead[0].step) == ("stopped", "no-hotel")
    hand.take(Retry())
    hand.answer("no-hotel")
    assert hand.standing == ["no-car"]


def test_a_wait_that_undoes_goes_on_when_its_time_is_over() -> None:
    waiting = step("u", "wait-event", with_={"name": "x", "within": "1h"}, on_timeout=["other"])
    hand = Hand(process(step("a", undo="u", next_=["b"]), step("b"), waiting, step("other")))
    hand.start()
    hand.answer("a")
    hand.take(UNDO)
    assert names(hand.wait(3_600_000)) == ["step-completed u", "run-cancelled"]


def test_a_stop_that_undoes_does_not_complete_the_run() -> None:
    hand = Hand(process(step("a", undo="s", next_=["b"]), step("b"), step("s", "stop")))
    hand.start()
    hand.answer("a")
    assert names(hand.take(UNDO))[-1] == "run-cancelled"


def test_an_undo_that_fails_is_a_dead_letter_that_may_be_skipped_or_begun_with_other_values() -> (
    None
):
    hand = booked()
    hand.take(UNDO)
    hand.fail("no-hotel", "reject", final=True)
    assert hand.run.status == "stopped"
    assert hand.take(Retry(given={"id": 7})).calls[0].input == {"id": 7}
    hand.fail("no-hotel", "reject", final=True)
    hand.take(Skip("no-hotel", {}))
    assert hand.standing == ["no-car"]


@pytest.mark.parametrize(
    ("command", "tag", "why"),
    [
        (UNDO, "cancel", "it is being undone already"),
        (GoTo("other"), "goto", "being undone"),
        (Resolve("pay", True), "resolve", "nothing waits"),
    ],
)
def test_what_does_not_fit_a_run_that_is_being_undone_is_refused(
    command: Any, tag: str, why: str
) -> None:
    hand = booked()
    hand.take(UNDO)
    hand.take(SetAside("enough"))
    (refused,) = hand.take(command).events
    assert isinstance(refused, CommandRefused)
    assert refused.command == tag
    assert why in refused.reason


def test_a_plain_cancel_ends_the_undoing_where_it_stands() -> None:
    hand = booked()
    hand.take(UNDO)
    assert hand.take(Cancel("leave it")).events == [RunCancelled("leave it")]


def test_children_under_way_are_undone_too_and_events_awaited_no_more() -> None:
    hand = Hand(
        process(
            step("c", "call", with_={"process": "other"}),
            step("w", "wait-event", with_={"name": "x"}),
            step("a", undo="u"),
            step("u"),
            start=["c", "w", "a"],
        )
    )
    hand.start()
    hand.answer("a")
    child = child_id(ID, "c", 1, 1, NOON)
    decision = hand.take(UNDO)
    assert decision.messages == [(child, Cancel(f"its parent {ID} is undone", undo=True))]
    assert decision.awaits == {("w", 1): None}
    assert hand.take(ChildEnded("c", 1, child, "completed")).events == []


def test_a_child_tells_its_parent_when_all_is_undone() -> None:
    told = {"run": "01a", "step": "c", "visit": 1, "waits": True, "depth": 1}
    steps = [step("a", undo="u", next_=["b"]), step("b"), step("u")]
    hand = Hand(process(*steps), None, {"parent": told})
    hand.start()
    hand.answer("a")
    assert hand.take(UNDO).messages == []
    (message,) = hand.answer("u").messages
    assert message == ("01a", ChildEnded("c", 1, ID, "cancelled", None, "a mistake (Olga)"))


def test_tokens_at_a_join_are_given_up() -> None:
    joined = [step("a", undo="u", next_=["j"]), step("b", next_=["j"]), step("j", prev=["a", "b"])]
    hand = Hand(process(*joined, step("u"), start=["a", "b"]))
    hand.start()
    hand.answer("a")
    hand.take(UNDO)
    assert names(hand.answer("u"))[-1] == "run-cancelled"
    assert hand.run.gathered == {}
