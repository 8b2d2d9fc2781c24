"""Steps that the engine itself runs: stop, respond, and what a run gives as its result."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.events import (
    AnswerGiven,
    AnswerIgnored,
    ApprovalAwaited,
    CommandRefused,
    EventAwaited,
    EventLate,
    RunCompleted,
    StepFailed,
)
from beltline.core.explanation import standing
from beltline.core.inputs import (
    EXPIRED,
    Answered,
    Cancel,
    EventArrived,
    Resolve,
    Retry,
    SetAside,
)
from beltline.core.limits import LIMITS
from beltline.core.visit import Awaited
from tests.unit.core.belt_of_one import NOON, Hand, names, process, step

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


# wait-event

PAID = EventArrived("e1", "paid", "17", {"sum": 5}, NOON)
AWAITED = Awaited("event", "paid", "17")


def paying(**keys: Any) -> dict[str, Any]:
    params = {"name": "paid", "key": "{{ request }}", "within": "1h"}
    return step("pay", "wait-event", **{"with_": params, "next_": ["after"]} | keys)


def test_a_wait_asks_for_its_event_in_the_commit_of_its_decision() -> None:
    hand = Hand(process(paying(), step("after")), 17)
    decision = hand.start()
    assert decision.events[-1] == EventAwaited("pay", 1, "paid", "17", NOON + 3_600_000)
    assert decision.awaits == {("pay", 1): AWAITED}
    assert (hand.run.status, hand.run.next_at) == ("waiting", NOON + 3_600_000)
    because = standing(hand.run).because
    assert because.startswith(
        "pay (visit 1) waits for the event 'paid' with the key '17', until 20"
    )


def test_the_event_that_comes_first_ends_the_wait() -> None:
    hand = Hand(process(paying(on_timeout=["late"]), step("after"), step("late")), 17)
    hand.start()
    decision = hand.take(PAID)
    assert hand.standing == ["after"]
    assert hand.run.document["pay"] == {"event": "e1", "data": {"sum": 5}, "timed_out": False}
    assert decision.awaits == {("pay", 1): None}
    assert names(hand.wait(3_600_000)) == ["step-failed after"]  # its own timeout, not the wait's


def test_the_time_that_comes_first_ends_the_wait_and_the_event_is_late() -> None:
    hand = Hand(process(paying(on_timeout=["late"]), step("after"), step("late")), 17)
    hand.start()
    assert hand.wait(3_599_999).events == []
    assert hand.wait(1).awaits == {("pay", 1): None}
    assert hand.standing == ["late"]
    assert hand.run.document["pay"] == {"timed_out": True}
    assert hand.take(PAID).events == [EventLate("paid", "17", "e1")]
    assert hand.standing == ["late"]


def test_without_on_timeout_the_visit_fails_and_its_retry_waits_anew() -> None:
    hand = Hand(process(paying(), step("after")), 17)
    hand.start()
    decision = hand.wait(3_600_000)
    failed = decision.events[0]
    assert isinstance(failed, StepFailed)
    assert (failed.error.kind, failed.then) == ("timeout", "dead-letter")
    assert decision.awaits == {("pay", 1): None}
    assert hand.take(Retry()).awaits == {("pay", 1): AWAITED}
    hand.take(PAID)
    assert hand.standing == ["after"]


def test_a_wait_without_a_bound_has_no_time() -> None:
    hand = Hand(process(paying(with_={"name": "paid"}), step("after")))
    hand.start()
    assert (hand.run.next_at, hand.run.status) == (None, "waiting")
    assert hand.wait(10**12).events == []
    assert standing(hand.run).because == "pay (visit 1) waits for the event 'paid'"
    hand.take(EventArrived("e", "paid", "", None, NOON))
    assert hand.standing == ["after"]


def test_an_event_goes_to_every_visit_of_the_run_that_waits_for_it() -> None:
    other = step("other", "wait-event", with_={"name": "paid", "key": "17"})
    third = step("third", "wait-event", with_={"name": "paid", "key": "18"})
    hand = Hand(process(paying(), other, third, step("after"), start=["pay", "other", "third"]), 17)
    hand.start()
    hand.take(PAID)
    assert hand.standing == ["third", "after"]


def test_a_run_that_ends_waits_for_nothing_any_more() -> None:
    hand = Hand(process(paying(), step("after")), 17)
    hand.start()
    assert hand.take(Cancel()).awaits == {("pay", 1): None}
    assert names(hand.take(PAID)) == ["event-late"]
    both = Hand(process(paying(), step("after"), step("s", "stop"), start=["pay", "s"]), 17)
    assert both.start().awaits == {}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "{{ request.none }}"}, "`name`"),
        ({"name": "paid", "key": "{{ request }}"}, "`key`"),
        ({"name": "paid", "within": "soon"}, "length of time"),
        ({"name": "paid", "within": "9000w"}, "wait_ms"),
        ({"name": "paid", "key": "x" * 600}, "event_key_bytes"),
    ],
)
def test_what_is_no_event_is_refused_in_words(params: dict[str, Any], words: str) -> None:
    hand = Hand(process(paying(with_=params), step("after")), {"an": "object"})
    hand.start()
    error = hand.run.dead[0].error
    assert error is not None
    assert error.kind == "input"
    assert words in error.message


# approve


def asking(**keys: Any) -> dict[str, Any]:
    params = {
        "title": "A discount for {{ request }}",
        "fields": {"discount": "Discount, %"},
        "within": "1h",
    }
    ways = [
        {"field": "boss.approved", "operation": "=", "value": True, "result": ["yes"]},
        {"field": "boss.approved", "operation": "=", "value": False, "result": ["no"]},
    ]
    return step("boss", "approve", **{"with_": params, "condition": ways} | keys)


def asked(**keys: Any) -> Hand:
    hand = Hand(process(asking(**keys), step("yes"), step("no"), step("late")), "Anna")
    decision = hand.start()
    title = "A discount for Anna"
    assert decision.events[-1] == ApprovalAwaited("boss", 1, title, NOON + 3_600_000)
    assert decision.awaits == {("boss", 1): Awaited("approval", title, "")}
    return hand


@pytest.mark.parametrize(("approved", "then"), [(True, "yes"), (False, "no")])
def test_a_person_decides_and_the_condition_says_where_that_leads(
    approved: bool, then: str
) -> None:
    hand = asked()
    words = "boss (visit 1) waits for a person to decide 'A discount for Anna', until 20"
    assert standing(hand.run).because.startswith(words)
    given = {"discount": "15"}
    decision = hand.take(Resolve("boss", approved, None, "fine", given, "Olga"))
    assert decision.awaits == {("boss", 1): None}
    assert hand.standing == [then]
    assert hand.run.document["boss"] == {
        "approved": approved,
        "comment": "fine",
        "given": given,
        "by": "Olga",
        "timed_out": False,
    }


def test_who_decides_first_decides_and_the_other_is_refused() -> None:
    hand = asked()
    hand.take(Resolve("boss", True))
    refused = hand.take(Resolve("boss", False)).events
    assert refused == [CommandRefused("resolve", "nothing waits for approval at 'boss'")]
    assert hand.standing == ["yes"]


def test_of_a_request_that_waited_too_long_nothing_is_to_be_decided() -> None:
    hand = asked(on_timeout=["late"])
    decision = hand.take(SetAside("it waited in its buffer for longer than 4h", EXPIRED))
    assert decision.awaits == {("boss", 1): None}
    assert names(hand.take(Resolve("boss", True))) == ["command-refused"]
    hand.wait(3_600_000)
    assert (hand.run.status, hand.run.next_at) == ("stopped", None)


def test_a_decision_after_the_time_is_over_is_refused() -> None:
    hand = asked(on_timeout=["late"])
    hand.wait(3_600_000)
    assert hand.standing == ["late"]
    assert names(hand.take(Resolve("boss", True))) == ["command-refused"]


def test_without_on_timeout_an_approval_fails_when_its_time_is_over() -> None:
    hand = asked()
    hand.wait(3_600_000)
    assert hand.run.dead[0].error is not None
    assert hand.run.dead[0].error.kind == "timeout"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Resolve("yes", True), "nothing waits"),
        (Resolve("boss", True, 2), "nothing waits"),
        (
            Resolve("boss", True, None, "", {"discunt": 1}),
            "no field 'discunt'; there are: discount",
        ),
        (Resolve("boss", True, None, "x" * 70_000), "approval_bytes"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_words(command: Resolve, words: str) -> None:
    hand = asked()
    refused = hand.take(command).events[0]
    assert isinstance(refused, CommandRefused)
    assert words in refused.reason
    assert hand.standing == ["boss"]


def test_of_several_visits_the_one_is_to_be_named() -> None:
    twice = step("a", next_=["boss"])
    other = step("b", next_=["boss"])
    hand = Hand(process(twice, other, asking(), step("yes"), step("no"), start=["a", "b"]), "Anna")
    hand.start()
    hand.answer("a")
    hand.answer("b")
    refused = hand.take(Resolve("boss", True)).events[0]
    assert isinstance(refused, CommandRefused)
    assert "name the visit" in refused.reason
    hand.take(Resolve("boss", True, 2))
    assert hand.standing == ["boss", "yes"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"title": "{{ request.none }}"}, "`title`"),
        ({"title": "{{ request }}", "within": "soon"}, "length of time"),
        ({"title": "a", "text": {"an": "object"}}, "`text`"),
        ({"title": "a", "fields": {"a": 1}}, "`fields`"),
        ({"title": "x" * 600}, "event_key_bytes"),
    ],
)
def test_what_nobody_can_decide_on_is_refused(params: dict[str, Any], words: str) -> None:
    hand = Hand(process(asking(with_=params), step("yes"), step("no")), "Anna")
    hand.start()
    error = hand.run.dead[0].error
    assert error is not None
    assert words in error.message
