"""Conditions of a wrong shape: every problem at once, each in its place, with what to write."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.condition import compile_routing
from beltline.core.limits import LIMITS
from beltline.core.problem import Problem

PLACE = ("steps", 3, "condition")
STEPS = ("get-bitrix-deal", "a-b")


def problems_of(items: Any) -> list[Problem]:
    compiled, problems = compile_routing(items, match_all=False, step_ids=STEPS, place=PLACE)
    assert compiled is None
    return problems


def places_of(items: Any) -> list[tuple[str | int, ...]]:
    """The places of the problems, below the place of the list."""
    places = [problem.place for problem in problems_of(items)]
    assert all(place[:3] == PLACE for place in places)
    return [place[3:] for place in places]


def item(field: str = "a", **more: Any) -> dict[Any, Any]:
    return {"field": field, "operation": "exists", "result": ["x"], **more}


@pytest.mark.parametrize(
    ("items", "places"),
    [
        ({"field": "a"}, [()]),
        ("x", [()]),
        ([5], [(0,)]),
        ([None, item(), []], [(0,), (2,)]),
        ([item(success=[item()])], [(0, "success")]),
        ([{"field": "a", "operation": "exists"}], [(0,)]),
        ([{"result": ["x"]}], [(0,)]),
        ([{"operation": "empty", "result": []}], [(0,)]),
        ([{"field": "a", "result": []}], [(0,)]),
        ([item(value=5)], [(0, "value")]),
        ([{"field": "a", "operation": "=", "result": []}], [(0,)]),
        ([item(operation="emty")], [(0, "operation")]),
        ([item(operation=5)], [(0, "operation")]),
        ([item("a b")], [(0, "field")]),
        ([item("{{ a }}")], [(0, "field")]),
        ([{"field": 5, "operation": "empty", "result": []}], [(0, "field")]),
        ([item(operation=">", value=True)], [(0, "value")]),
        ([item(operation="=", value="{{ a + 1 }}")], [(0, "value")]),
        ([item(operation="=", value="x {{ a }}")], [(0, "value")]),
        ([item(operation="=", value="{{ a }} x")], [(0, "value")]),
        ([item(operation="in", value=["{{ a }}"])], [(0, "value")]),
        ([item(operation="=", value=object())], [(0, "value")]),
        ([item(operation="=", value=float("nan"))], [(0, "value")]),
        ([item(operation="matches", value="(")], [(0, "value")]),
        ([item(result="x")], [(0, "result")]),
        ([item(result=[5, "x", "", None])], [(0, "result", 0), (0, "result", 2), (0, "result", 3)]),
        ([item(result=[item()])], [(0, "result", 0)]),
        ([{"if": "a", "success": "x"}], [(0, "success")]),
        ([{"if": "a", "success": [item(), "x"]}], [(0, "success", 0)]),
        ([{"if": "a", "failure": ["x", True]}], [(0, "failure", 1)]),
        ([{"if": "a +", "result": []}], [(0, "if")]),
        ([{"if": 5, "result": []}], [(0, "if")]),
        ([{"if": "a", "value": 5, "result": []}], [(0, "value")]),
        ([{"if": "a", "field": "b", "operation": "empty", "result": []}], [(0, "if")]),
        ([{"and": [], "result": []}], [(0, "and")]),
        ([{"or": {}, "result": []}], [(0, "or")]),
        ([{"not": ["x"], "result": []}], [(0, "not", 0)]),
        ([{"and": [item()], "result": []}], [(0, "and", 0, "result")]),
        ([{"and": [{"if": "a"}], "value": 1, "result": []}], [(0, "value")]),
        ([item(opertion=1, sucess=[])], [(0, "opertion"), (0, "sucess")]),
        ([item() | {True: 1, 5: 2}], [(0, "True"), (0, 5)]),
        ([item(result=["x"] * (LIMITS.step_targets + 1))], [(0, "result")]),
    ],
)
def test_wrong_shapes_are_refused_in_their_place(items: Any, places: list[Any]) -> None:
    assert places_of(items) == places


def test_every_problem_is_told_at_once() -> None:
    items = [
        item(operation="emty"),
        {"field": "a", "operation": "exists", "success": [item(resul=[]), {"and": [{"if": "("}]}]},
        item(result="x"),
    ]
    assert set(places_of(items)) == {
        (0, "operation"),
        (1, "success", 0, "resul"),
        (1, "success", 1),
        (1, "success", 1, "and", 0, "if"),
        (2, "result"),
    }


def test_problems_say_what_to_write() -> None:
    def suggestion(items: Any) -> str:
        [problem] = problems_of(items)
        assert problem.message
        assert problem.severity == "error"
        return problem.suggestion

    assert suggestion([item(sucess=[])]) == "did you mean success?"
    assert suggestion([item(operation="==")]) == "did you mean =?"
    assert suggestion([item("{{ a.b }}")]) == "write field: a.b"
    assert suggestion([item(result="x")]) == "write result: [x]"
    assert "success" in suggestion([item(success=["y"])])
