"""Which steps lead to which, and which join fires."""

from __future__ import annotations

import pytest

from beltline.core.graph import Reach, reach_of, ready_join, successors
from beltline.core.model import Process
from tests.unit.core.belt_of_one import process, step


def looped() -> Process:
    """A -> b -> j -> c -> (b | end), with an error way from a to j."""
    return process(
        step("a", next_=["b"], on_error=["j"]),
        step("b", next_=["j"]),
        step("j", prev=["a", "b"], next_=["c"]),
        step("c", condition=[{"field": "c", "operation": "exists", "result": ["b"]}]),
    )


def test_successors_are_every_way_out_without_repeats() -> None:
    ways = [
        {"field": "a", "operation": "exists", "result": ["c", "b"]},
        {"field": "a", "operation": "empty", "failure": ["d"]},
    ]
    made = process(
        step("a", next_=["b"], condition=ways, on_error=["d", "e"]),
        *(step(id) for id in "bcde"),
    )
    assert successors(made.steps["a"]) == ("b", "c", "d", "e")


def test_sources_of_a_join_are_all_steps_with_a_way_to_it() -> None:
    assert Reach(looped()).sources("j") == {"a", "b", "c", "j"}


def test_a_join_without_a_way_back_is_no_source_of_itself() -> None:
    made = process(step("a", next_=["j"]), step("b", next_=["j"]), step("j", prev=["a", "b"]))
    assert Reach(made).sources("j") == {"a", "b"}


def test_reach_is_computed_once_for_a_process() -> None:
    made = looped()
    assert reach_of(made) is reach_of(made)
    assert reach_of(made).sources("j") is reach_of(made).sources("j")


@pytest.mark.parametrize("live", ["a", "b", "c", "j"])
def test_a_join_waits_for_any_token_that_can_still_come(live: str) -> None:
    assert ready_join(looped(), ["j"], [live]) is None


def test_a_join_fires_when_nothing_can_come_any_more() -> None:
    assert ready_join(looped(), ["j"], []) == "j"


def test_nothing_gathered_fires_nothing() -> None:
    assert ready_join(looped(), [], ["a"]) is None


def test_a_join_behind_another_waits_for_it() -> None:
    made = process(
        step("a", next_=["j", "k"]),
        step("k", prev=["a", "j"]),
        step("j", prev=["a", "x"], next_=["k"]),
        step("x", next_=["j"]),
    )
    assert ready_join(made, ["j", "k"], []) == "j"
    assert ready_join(made, ["k"], ["j"]) is None
    assert ready_join(made, ["k"], []) == "k"


def test_joins_that_wait_for_each_other_fire_in_file_order_once_nothing_else_moves() -> None:
    made = process(
        step("a", next_=["j", "k", "b"]),
        step("b"),
        step("j", prev=["a", "k"], next_=["k"]),
        step("k", prev=["a", "j"], next_=["j"]),
    )
    assert ready_join(made, ["k", "j"], []) == "j"
    assert ready_join(made, ["k", "j"], ["b"]) is None
