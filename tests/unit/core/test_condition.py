"""Routing: what a condition list decides, and why."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from beltline.core.condition import Routing, Verdict, compile_routing
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.limits import LIMITS
from beltline.core.problem import Problem

SCOPE = Scope(now_ms=0, run="r", seq=1)
PLACE = ("steps", 3, "condition")
STEPS = ("get-bitrix-deal", "bitrix-find-contact", "a-b")

DEAL = [
    {
        "field": "get-bitrix-deal.value",
        "operation": "empty",
        "success": [
            {
                "field": "bitrix-find-contact.ID",
                "operation": "empty",
                "result": ["bitrix-lead-set-default-values"],
            }
        ],
    },
    {"field": "get-bitrix-deal.value", "operation": "!|empty", "result": ["get-bitrix-deal-by-id"]},
]


def routing(items: Any, *, match_all: bool = False) -> Routing:
    compiled, problems = compile_routing(items, match_all=match_all, step_ids=STEPS, place=PLACE)
    assert problems == []
    assert compiled is not None
    return compiled


def decide(items: Any, document: dict[str, Any], *, match_all: bool = False) -> Verdict:
    return routing(items, match_all=match_all).evaluate(document, SCOPE)


def problems_of(items: Any) -> list[Problem]:
    compiled, problems = compile_routing(items, match_all=False, step_ids=STEPS, place=PLACE)
    assert compiled is None
    return problems


def item(field: str = "a", **more: Any) -> dict[str, Any]:
    return {"field": field, "operation": "exists", "result": ["x"], **more}


# The way


@pytest.mark.parametrize(
    ("value", "contact", "to", "by"),
    [
        (None, None, ("bitrix-lead-set-default-values",), ("condition[0].success[0]",)),
        ("", 7, None, ()),
        ("12", None, ("get-bitrix-deal-by-id",), ("condition[1]",)),
        ("12", 7, ("get-bitrix-deal-by-id",), ("condition[1]",)),
    ],
)
def test_the_original_settings(value: Any, contact: Any, to: Any, by: Any) -> None:
    document = {"get-bitrix-deal": {"value": value}, "bitrix-find-contact": {"ID": contact}}
    verdict = decide(DEAL, document)
    assert (verdict.to, verdict.by) == (to, by)
    assert verdict.saw["get-bitrix-deal.value"] == value


def test_an_empty_list_is_an_outcome_of_no_steps() -> None:
    for key in ("result", "success"):
        verdict = decide([{"field": "a", "operation": "exists", key: []}], {"a": 1})
        assert verdict.to == ()
    assert decide([{"field": "a", "operation": "exists", "failure": []}], {}).to == ()
    assert decide([{"field": "a", "operation": "exists", "failure": []}], {"a": 1}).to is None


def test_no_items_decide_nothing() -> None:
    assert decide([], {}) == Verdict(None, (), {}, ())


def test_failure_gives_the_outcome_of_a_test_that_does_not_hold() -> None:
    items = [
        {"field": "a", "operation": "exists", "success": ["x"], "failure": [item("b"), item("c")]},
        item("d", result=["last"]),
    ]
    assert decide(items, {"a": 1}).by == ("condition[0].success",)
    assert decide(items, {"c": 1}).by == ("condition[0].failure[1]",)
    assert decide(items, {"d": 1}).to == ("last",)
    assert decide([item("a", failure=["y"])], {}).to == ("y",)


def test_a_nested_list_that_gives_nothing_falls_through() -> None:
    items = [
        {"field": "a", "operation": "exists", "success": [item("b", result=["inner"])]},
        item("a", result=["outer"]),
    ]
    assert decide(items, {"a": 1, "b": 1}).to == ("inner",)
    assert decide(items, {"a": 1}).to == ("outer",)


def test_match_all_takes_the_union_at_every_level() -> None:
    items = [
        {
            "field": "a",
            "operation": "exists",
            "success": [
                item("a", result=["x", "y"]),
                item("b", result=["never"]),
                item("a", result=["z"]),
            ],
        },
        item("b", result=["never"], failure=["y", "w"]),
        item("a", result=[]),
    ]
    verdict = decide(items, {"a": 1}, match_all=True)
    assert verdict.to == ("x", "y", "z", "w")
    assert verdict.by == (
        "condition[0].success[0]",
        "condition[0].success[2]",
        "condition[1].failure",
        "condition[2]",
    )
    assert decide(items, {"a": 1}).to == ("x", "y")
    assert decide([item("a", result=[])], {"a": 1}, match_all=True).to == ()
    assert decide([item("a")], {}, match_all=True).to is None


def test_repeated_targets_stand_once() -> None:
    assert decide([item(result=["x", "y", "x"])], {"a": 1}).to == ("x", "y")


@pytest.mark.parametrize(
    ("test", "held_by"),
    [
        (
            {"and": [{"field": "a", "operation": "exists"}, {"field": "b", "operation": "exists"}]},
            ["ab"],
        ),
        (
            {"or": [{"field": "a", "operation": "exists"}, {"field": "b", "operation": "exists"}]},
            ["a", "b", "ab"],
        ),
        ({"not": [{"field": "a", "operation": "exists"}]}, ["", "b"]),
        (
            {"not": [{"field": "a", "operation": "exists"}, {"field": "b", "operation": "exists"}]},
            [""],
        ),
        (
            {
                "or": [
                    {"not": [{"field": "a", "operation": "exists"}]},
                    {"and": [{"if": "a"}, {"field": "b", "operation": "=", "value": "{{ a }}"}]},
                ]
            },
            ["", "b", "ab"],
        ),
        ({"not": [{"not": [{"and": [{"if": "a and b"}]}]}]}, ["ab"]),
        ({"if": "{{ $exists(a) and $not(b = 1) }}"}, ["a"]),
        ({"if": "b"}, ["b", "ab"]),
    ],
)
def test_combined_tests(test: dict[str, Any], held_by: list[str]) -> None:
    for names in ("", "a", "b", "ab"):
        document = dict.fromkeys(names, 1)
        to = ("yes",) if names in held_by else ("no",)
        assert decide([{**test, "result": ["yes"], "failure": ["no"]}], document).to == to


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (0, False),
        (None, False),
        ("", False),
        ([], False),
        ({}, False),
        ([0, [""]], False),
        (1, True),
        ("0", True),
        ([0, 1], True),
        ({"a": 0}, True),
        ([[["x"]]], True),
    ],
)
def test_if_takes_values_as_jsonata_does(value: Any, holds: bool) -> None:
    for expression in ("a", "(a)"):
        to = decide([{"if": expression, "result": ["x"]}], {"a": value}).to
        assert (to == ("x",)) is holds


def test_an_if_that_fails_fails_the_decision() -> None:
    with pytest.raises(ExpressionFailed):
        decide([{"if": "a + 1 > 2", "result": ["x"]}], {"a": "text"})


def test_value_of_another_field() -> None:
    items = [{"field": "a", "operation": "lower|=", "value": "{{ b.c }}", "result": ["x"]}]
    assert decide(items, {"a": "ABC", "b": {"c": "abc"}}).to == ("x",)
    assert decide(items, {"a": "ABC"}).to is None
    assert decide(items, {}).to is None


# The reason


def test_saw_shows_what_the_tests_on_the_way_read() -> None:
    items = [
        {"field": "a", "operation": ">", "value": "{{ b }}", "result": ["x"]},
        {"field": "d.e", "operation": "in", "value": [5], "result": ["y"]},
        item("never-asked"),
    ]
    verdict = decide(items, {"a": "text", "d": {"e": 5}})
    assert verdict.saw == {"a": "text", "b": {"$missing": True}, "d.e": 5}
    assert verdict.notes == ("a > b: string and missing have no order",)
    assert decide([{"if": "a & 1", "result": []}], {"a": "x"}).saw == {"a & 1": "x1"}


def test_long_values_are_shortened() -> None:
    items = [item(name) for name in "abcdef"]
    document = {
        "a": "x" * 1_000,
        "b": list(range(5_000)),
        "c": {f"k{n}": n for n in range(900)},
        "d": [1, [2, {"k": "v"}]],
        "e": "ж" * 90,
        "f": "я" * 120,
    }
    saw = decide(items, document, match_all=True).saw
    assert saw["a"] == {"$shortened": "x" * 33 + "…"}
    assert saw["b"] == {"$shortened": "a list of 5000"}
    assert saw["c"] == {"$shortened": "an object of 900: k0, k1, k2, k3, k4"}
    assert saw["d"] == document["d"]
    assert saw["e"] == document["e"]
    assert set(saw["f"]) == {"$shortened"}
    for value in saw.values():
        assert len(msgspec.json.encode(value)) <= LIMITS.saw_value_bytes


def test_a_number_of_many_digits_is_shortened() -> None:
    saw = decide([item(name) for name in "ab"], {"a": 10**5_000, "b": 2**64}, match_all=True).saw
    assert saw == {"a": {"$shortened": "a number of 16610 bits"}, "b": 2**64}


def test_a_deep_value_is_shown_without_recursion() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert decide([item()], {"a": value}).saw == {"a": {"$shortened": "a list of 1"}}


def test_targets_with_their_places_and_roots() -> None:
    compiled = routing(DEAL)
    assert compiled.targets == ("bitrix-lead-set-default-values", "get-bitrix-deal-by-id")
    assert list(compiled.target_places) == [
        ("bitrix-lead-set-default-values", (*PLACE, 0, "success", 0, "result", 0)),
        ("get-bitrix-deal-by-id", (*PLACE, 1, "result", 0)),
    ]
    assert list(compiled.places_of("get-bitrix-deal-by-id")) == [(*PLACE, 1, "result", 0)]
    assert compiled.roots == frozenset(("get-bitrix-deal", "bitrix-find-contact"))
    assert routing([item(), {"if": "$keys($)", "result": []}]).roots is None
    repeated = routing([item(result=["x", "y", "x"]), item("b", failure=["x"])])
    assert list(repeated.places_of("x")) == [
        (*PLACE, 0, "result", 0),
        (*PLACE, 0, "result", 2),
        (*PLACE, 1, "result", 0),
        (*PLACE, 1, "failure", 0),
    ]


# Depth and size


def nested(depth: int, key: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [item()]
    for _ in range(depth - 1):
        items = [{"field": "a", "operation": "exists" if key == "success" else "empty", key: items}]
    return items


def nested_tests(depth: int, key: str) -> list[dict[str, Any]]:
    test: dict[str, Any] = {"field": "a", "operation": "exists"}
    for _ in range(depth - 1):
        test = {key: [test]}
    return [{**test, "result": ["x"]}]


@pytest.mark.parametrize("key", ["success", "failure"])
def test_conditions_nest_1000_levels_and_no_deeper(key: str) -> None:
    verdict = decide(nested(LIMITS.condition_levels, key), {"a": 1})
    assert verdict.to == ("x",)
    assert verdict.by == ("condition[0]" + f".{key}[0]" * (LIMITS.condition_levels - 1),)
    [problem] = problems_of(nested(LIMITS.condition_levels + 1, key))
    assert problem.place == (*PLACE, *(0, key) * LIMITS.condition_levels)
    assert "condition_levels" in problem.message
    [problem] = problems_of(nested(50_000, key))
    assert len(problem.place) == 3 + 2 * LIMITS.condition_levels


@pytest.mark.parametrize("key", ["and", "or", "not"])
def test_tests_nest_1000_levels_and_no_deeper(key: str) -> None:
    held = decide(nested_tests(LIMITS.condition_levels, key), {"a": 1}).to is not None
    assert held is (key != "not" or (LIMITS.condition_levels - 1) % 2 == 0)
    [problem] = problems_of(nested_tests(LIMITS.condition_levels + 1, key))
    assert problem.place == (*PLACE, 0, *(key, 0) * (LIMITS.condition_levels - 1), key)


def test_compiling_takes_time_in_proportion() -> None:
    before = time.process_time()
    routing(nested(LIMITS.condition_levels, "success"))
    assert time.process_time() - before < 0.25
    before = time.process_time()
    for _ in range(2_000):
        routing(DEAL)
    assert time.process_time() - before < 1
    wide = [item(result=[f"s{n}"]) for n in range(20_000)]
    before = time.process_time()
    routing(wide)
    assert time.process_time() - before < 3


# What is doubtful


def warnings_of(items: Any, *, match_all: bool = False) -> list[tuple[Any, str]]:
    warnings = routing(items, match_all=match_all).warnings
    assert all(warning.severity == "warning" for warning in warnings)
    return [(warning.place[3:], warning.message.split(":")[0]) for warning in warnings]


EMPTY = {"field": "a", "operation": "empty", "result": ["x"]}
NOT_EMPTY = {"field": "a", "operation": "!|empty", "result": ["y"]}


def test_items_that_cannot_be_reached_or_hold_are_warned_of() -> None:
    assert warnings_of([EMPTY, NOT_EMPTY]) == []
    assert warnings_of([EMPTY, NOT_EMPTY, item()]) == [((2,), "the item can never be reached")]
    assert warnings_of([EMPTY, item("b"), EMPTY]) == [((2,), "the item can never hold")]
    assert warnings_of([{**EMPTY, "failure": []}, item()]) == [
        ((1,), "the item can never be reached")
    ]
    assert warnings_of([item(operation="=", value=1), item(operation="!=", value=1), item()]) == [
        ((2,), "the item can never be reached")
    ]
    assert warnings_of([{"field": "b", "operation": "exists", "success": [EMPTY, EMPTY]}]) == [
        ((0, "success", 1), "the item can never hold")
    ]
    assert warnings_of([item(operation="in", value=[])]) == [((0,), "the test can never hold")]
    assert warnings_of([item(operation="between", value=[5, 1])]) == [
        ((0,), "the test can never hold")
    ]


def test_nothing_is_warned_of_that_may_be_right() -> None:
    assert warnings_of(DEAL) == []
    nested_empty = {"field": "a", "operation": "empty", "success": [item("b")]}
    assert warnings_of([nested_empty, NOT_EMPTY, EMPTY]) == []
    assert warnings_of([item(operation="=", value=1), item(operation="=", value=1.0)]) == []
    assert warnings_of([item(operation=">", value=1), item(operation="<=", value=1), item()]) == []
    assert warnings_of([EMPTY, NOT_EMPTY, EMPTY], match_all=True) == []
    assert warnings_of([item(operation="!|in", value=[]), item(operation="all|in", value=[])]) == []


def test_a_list_that_always_decides_is_known() -> None:
    assert routing([EMPTY, NOT_EMPTY]).always_decides
    assert routing([EMPTY, NOT_EMPTY], match_all=True).always_decides
    assert not routing(DEAL).always_decides
    assert not routing([EMPTY, item("b", operation="!|empty")]).always_decides
