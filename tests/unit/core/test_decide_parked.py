"""A call that has to wait: parked, dispatched again, and what is never counted for it."""

from __future__ import annotations

from beltline.core.explanation import standing
from beltline.core.inputs import Cancel, Parked, Recovered, SetAside
from tests.unit.core.belt_of_one import Hand, names, process, step

WHY = "waits for the limit of connection crm"


def parked(hand: Hand, attempt: int, wait_ms: int = 1_000, *, was_called: bool = False) -> None:
    hand.take(Parked("a", 1, attempt, hand.now + wait_ms, WHY, was_called))


def test_a_parked_step_waits_and_says_why() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    parked(hand, 1)
    assert (hand.run.status, hand.run.is_moving) == ("parked", False)
    stands = standing(hand.run)
    assert stands.because.startswith(f"a (visit 1) {WHY}, until ")
    assert stands.wake_at == hand.now + 1_000
    assert not hand.wait(999).events


def test_it_is_dispatched_again_without_a_failure() -> None:
    hand = Hand(process(step("a", retry={"attempts": 1})))
    hand.start()
    for attempt in range(1, 20):
        parked(hand, attempt)
        again = hand.wait(1_000)
        assert names(again) == ["step-started a"]
        assert again.calls[0].attempt == attempt + 1
        assert again.calls[0].deadline == hand.now + 30_000
        assert not again.calls[0].is_repeat
    assert hand.run.open["a", 1].failures == 0
    hand.answer("a")
    assert hand.run.status == "completed"


def test_whether_it_was_called_before_is_not_forgotten() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    parked(hand, 1, was_called=True)
    assert hand.wait(1_000).calls[0].is_repeat
    parked(hand, 2)
    assert hand.wait(1_000).calls[0].is_repeat


def test_a_call_that_was_lost_may_have_been_made() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    assert hand.take(Recovered()).calls[0].is_repeat
    parked(hand, 2)
    assert hand.wait(1_000).calls[0].is_repeat


def test_a_suspect_looks_again_at_once() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    parked(hand, 1, wait_ms=90_000_000)
    assert not hand.take(Recovered()).events
    again = hand.take(Recovered(wakes=True))
    assert names(again) == ["step-started a"]
    assert not again.calls[0].is_repeat


def test_a_suspect_that_is_parked_is_set_aside_too() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    parked(hand, 1)
    assert names(hand.take(SetAside("five crashes"))) == ["step-failed a", "run-stopped"]


def test_a_failure_after_a_park_is_the_first_one() -> None:
    hand = Hand(process(step("a", retry={"attempts": 2, "first_ms": 100})))
    hand.start()
    parked(hand, 1)
    hand.wait(1_000)
    hand.fail("a")
    assert hand.run.open["a", 1].failures == 1
    assert hand.wait(1_000).calls[0].is_repeat


def test_a_late_park_is_fenced_off() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    hand.take(Recovered())
    assert not hand.take(Parked("a", 1, 1, hand.now + 5, WHY)).events


def test_other_branches_go_on_and_the_run_moves_while_they_do() -> None:
    hand = Hand(process(step("a"), step("b"), start=["a", "b"]))
    hand.start()
    parked(hand, 1)
    statuses = [hand.run.status]
    hand.answer("b")
    statuses.append(hand.run.status)
    hand.take(Cancel("enough"))
    assert [*statuses, hand.run.status] == ["moving", "parked", "cancelled"]


def test_a_park_is_never_over_before_it_began() -> None:
    hand = Hand(process(step("a")))
    hand.start()
    parked(hand, 1, wait_ms=-5_000)
    assert hand.run.next_at == hand.now + 1
