"""`for-each`: a run for each item, so many at once, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.child import Child, Parent, child_id
from beltline.core.decide import Decision
from beltline.core.events import ChildStopped, ItemCompleted, StepCompleted
from beltline.core.explanation import standing
from beltline.core.inputs import Cancel, ChildBegun, ChildEnded, ChildHalted, Retry, Skip
from beltline.core.limits import LIMITS
from tests.unit.core.belt_of_one import ID, NOON, Hand, names, process, step

ITEMS = ["a", "b", "c", "d"]


def run_of(item: int, attempt: int = 1) -> str:
    return child_id(ID, "f", 1, attempt, NOON, item)


def each(**keys: Any) -> dict[str, Any]:
    params = {"process": "line", "items": "{{ request }}", "concurrency": 2}
    return step("f", "for-each", **{"with_": params, "next_": ["after"]} | keys)


def parent(items: Any = ITEMS, **keys: Any) -> Hand:
    hand = Hand(process(each(**keys), step("after"), step("mend")), items)
    hand.start()
    return hand


def end(hand: Hand, item: int, result: Any = None, attempt: int = 1) -> Decision:
    return hand.take(ChildEnded("f", 1, run_of(item, attempt), "completed", result))


def cancelled(hand: Hand, item: int, attempt: int = 1) -> Decision:
    return hand.take(ChildEnded("f", 1, run_of(item, attempt), "cancelled", None, "enough"))


def begun(decision: Decision) -> list[int | None]:
    return [child.parent.item for child in decision.children]


def test_so_many_runs_begin_as_may_be_at_once_each_with_its_item() -> None:
    hand = Hand(process(each(), step("after")), ITEMS)
    decision = hand.start()
    where = [Parent(ID, "f", 1, waits=True, depth=1, item=item) for item in (0, 1)]
    assert decision.children == [
        Child(run_of(0), "line", "a", where[0], "a"),
        Child(run_of(1), "line", "b", where[1], "b"),
    ]
    assert run_of(0) != run_of(1)
    assert (hand.run.status, hand.run.next_at) == ("waiting", None)
    words = "f (visit 1) waits for runs of 'line': 0 of 4 items are done, 2 under way"
    assert standing(hand.run).because == words


def test_the_next_item_begins_when_one_is_done_and_results_stand_in_the_order_of_items() -> None:
    hand = parent()
    assert begun(end(hand, 1, "B")) == [2]
    assert begun(end(hand, 2, "C")) == [3]
    assert begun(end(hand, 3, "D")) == []
    assert hand.standing == ["f"]
    decision = end(hand, 0, "A")
    assert isinstance(decision.events[0], ItemCompleted)
    assert isinstance(decision.events[1], StepCompleted)
    assert hand.run.document["f"] == {"results": ["A", "B", "C", "D"]}
    assert hand.standing == ["after"]


def test_ten_begin_at_once_unless_the_step_says_another_number() -> None:
    hand = Hand(process(each(with_={"process": "line", "items": "{{ request }}"})), list(range(12)))
    assert len(hand.start().children) == 10


def test_of_no_items_there_are_no_results() -> None:
    hand = parent([])
    assert hand.run.document["f"] == {"results": []}
    assert hand.standing == ["after"]


@pytest.mark.parametrize("other", [("f", 1, ID), ("f", 2, run_of(0)), ("after", 1, run_of(0))])
def test_the_end_of_another_run_moves_nothing(other: tuple[str, int, str]) -> None:
    assert parent().take(ChildEnded(*other, "completed")).events == []


def test_an_end_that_is_told_twice_counts_once() -> None:
    hand = parent()
    end(hand, 0, "A")
    assert end(hand, 0, "other").events == []


def test_after_an_item_failed_no_further_begins_and_those_under_way_go_on() -> None:
    hand = parent()
    assert begun(cancelled(hand, 0)) == []
    assert hand.standing == ["f"]
    words = "1 under way; item 0 failed: the run"
    assert words in standing(hand.run).because
    decision = end(hand, 1, "B")
    assert names(decision) == ["item-completed f", "step-failed f", "run-stopped"]
    error = hand.run.dead[0].error
    assert error is not None
    assert error.kind == "child"
    assert error.message.startswith(f"item 0: the run {run_of(0)} was cancelled: enough")
    assert error.message.endswith("1 of 4 items are done")


def test_a_retry_goes_on_with_what_is_not_done() -> None:
    hand = parent()
    cancelled(hand, 0)
    end(hand, 1, "B")
    decision = hand.take(Retry())
    assert begun(decision) == [0, 2]
    assert [child.id for child in decision.children] == [run_of(0, 2), run_of(2, 2)]
    assert end(hand, 0, "late").events == []
    end(hand, 0, "A", attempt=2)
    end(hand, 2, "C", attempt=2)
    end(hand, 3, "D", attempt=2)
    assert hand.run.document["f"] == {"results": ["A", "B", "C", "D"]}


def test_parameters_of_a_person_begin_from_the_first_item() -> None:
    hand = parent()
    end(hand, 0, "A")
    cancelled(hand, 1)
    cancelled(hand, 2)
    decision = hand.take(Retry(given={"process": "line", "items": ["x"]}))
    assert [child.request for child in decision.children] == ["x"]


def test_a_failed_item_follows_on_error() -> None:
    hand = parent(on_error=["mend"])
    cancelled(hand, 1)
    end(hand, 0, "A")
    assert hand.standing == ["mend"]


def test_an_item_that_cannot_be_started_fails_with_its_reason() -> None:
    hand = parent(on_error=["mend"])
    for item in (0, 1):
        hand.take(ChildBegun("f", 1, run_of(item), "there is no process 'line'"))
    assert hand.run.document["f"]["error"]["kind"] == "process"
    assert "item 0: there is no process 'line'" in hand.run.document["f"]["error"]["message"]
    assert hand.standing == ["mend"]


def test_a_child_that_stops_leaves_its_parent_waiting_with_that_reason() -> None:
    hand = parent()
    decision = hand.take(ChildHalted("f", 1, run_of(1), "a: no luck"))
    assert decision.events == [ChildStopped("f", 1, run_of(1), "a: no luck")]
    words = f"2 under way; {run_of(1)} (item 1) stopped: a: no luck"
    assert standing(hand.run).because.endswith(words)
    end(hand, 1, "B")
    assert "stopped" not in standing(hand.run).because


def test_a_parent_that_ends_cancels_the_children_under_way() -> None:
    hand = parent()
    end(hand, 0, "A")
    messages = hand.take(Cancel("enough")).messages
    assert [run for run, _ in messages] == [run_of(1), run_of(2)]
    assert all(isinstance(message, Cancel) for _, message in messages)


def test_a_run_that_is_done_has_nobody_to_cancel() -> None:
    hand = parent(["a"], next_=[])
    decision = end(hand, 0, "A")
    assert (hand.run.ended, decision.messages) == ("completed", [])


def test_a_person_skips_a_failed_one_as_any_other() -> None:
    hand = parent()
    cancelled(hand, 0)
    cancelled(hand, 1)
    hand.take(Skip("f", {"results": []}))
    assert hand.standing == ["after"]


def test_what_each_child_is_to_have_is_its_request_beside_the_item() -> None:
    params = {"process": "line", "items": "{{ request }}", "request": {"order": 7}}
    hand = Hand(process(each(with_=params), step("after")), ["a"])
    (child,) = hand.start().children
    assert (child.request, child.item) == ({"order": 7}, "a")


@pytest.mark.parametrize(("meta", "item"), [({}, "a"), ({"item": "b"}, "b")])
def test_a_child_reads_its_item_and_which_it_is(meta: dict[str, Any], item: str) -> None:
    told = {"run": "01a", "step": "f", "visit": 1, "waits": True, "depth": 1, "item": 3}
    reading = step("a", with_={"item": "{{ item }}", "number": "{{ parent.item }}"})
    hand = Hand(process(reading), "a", {"parent": told, **meta})
    assert hand.start().calls[0].input == {"item": item, "number": 3}


def test_results_that_the_document_cannot_hold_are_a_failure() -> None:
    hand = parent(on_error=["mend"])
    half = "x" * (LIMITS.document_bytes // 2)
    assert begun(end(hand, 0, half)) == [2]
    assert begun(end(hand, 1, half)) == []
    end(hand, 2, "C")
    assert hand.run.document["f"]["error"]["kind"] == "limit"
    assert hand.standing == ["mend"]


def test_a_request_that_may_be_a_repeat_starts_no_children() -> None:
    assert process(each(), step("after")).starts_runs


def test_runs_that_start_each_other_without_end_come_to_an_end() -> None:
    told = {"run": "01a", "step": "f", "visit": 1, "waits": True, "depth": LIMITS.call_depth}
    hand = Hand(process(each(), step("after")), ITEMS, {"parent": told})
    decision = hand.start()
    assert (decision.children, hand.run.dead[0].step) == ([], "f")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"items": []}, "needs `process`"),
        ({"process": "line"}, "needs `items`, a list"),
        ({"process": "line", "items": "abc"}, "needs `items`, a list"),
        ({"process": "line", "items": [], "concurrency": 0}, "whole number from 1"),
        ({"process": "line", "items": [], "concurrency": True}, "whole number from 1"),
        ({"process": "line", "items": [], "concurrency": 101}, "limit for_each_children"),
        ({"process": "line", "items": [0] * 1_001}, "1,001 items (limit for_each_items, 1,000)"),
    ],
)
def test_what_starts_nothing_is_refused_in_words(params: dict[str, Any], says: str) -> None:
    hand = Hand(process(each(with_=params), step("after")), 5)
    hand.start()
    error = hand.run.dead[0].error
    assert error is not None
    assert error.kind == "input"
    assert says in error.message
