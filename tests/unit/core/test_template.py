"""Values with expressions: types, texts, what is left out, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING
from beltline.core.template import compile_value

SCOPE = Scope(now_ms=0, run="r", seq=1)
STEPS = ("find-contact", "get-deal")
DOCUMENT: dict[str, Any] = {
    "request": {
        "name": "Ann",
        "n": 5,
        "none": None,
        "tags": ["a", 1.5, None],
        "on": True,
        "o": {"k": "я"},
        "id": 2**63,
    },
    "find-contact": {"ID": 7},
}


def resolve(value: Any) -> Any:
    template, problems = compile_value(value, STEPS, ("with",))
    assert problems == []
    return template.resolve(DOCUMENT, SCOPE)


def problems_of(value: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return [
        (problem.place, problem.message)
        for problem in compile_value(value, STEPS, ("steps", 0, "with"))[1]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ request.n }}", 5),
        ("{{request.n}}", 5),
        ("{{ request.none }}", None),
        ("{{ request.on }}", True),
        ("{{ request.id }}", 2**63),
        ("{{ find-contact.ID }}", 7),
        ("{{ request.n * 2 }}", 10),
        ("{{ request.nope }}", MISSING),
        ("{{ nope & nope }}", ""),
        ('{{ {"a": {"b": request.n}} }}', {"a": {"b": 5}}),
        ('{{ "}}" & request.n }}', "}}5"),
        ("{{ `find-contact`.ID }}", 7),
        ("{{ find-contact.ID + 1 }}", 8),
        ("{{ /* }} */ request.n }}", 5),
        ("plain", "plain"),
        ("", ""),
        ("}} alone", "}} alone"),
        ("{ {a} }", "{ {a} }"),
        ('{{ "{{" }}', "{{"),
    ],
)
def test_one_expression_keeps_its_type(text: str, expected: object) -> None:
    value = resolve(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dear {{ request.name }}!", "Dear Ann!"),
        (" {{ request.n }}", " 5"),
        ("{{ request.n }}{{ request.n }}", "55"),
        ("<{{ request.none }}{{ request.nope }}>", "<>"),
        ("{{ request.tags }} {{ request.o }}", '["a",1.5,null] {"k":"я"}'),
        ("is {{ request.on }}", "is true"),
        ("{{ request.n + 1 }} of {{ request.n }}", "6 of 5"),
        ("id {{ request.id }}", "id 9223372036854775808"),
    ],
)
def test_text_around_makes_a_text(text: str, expected: str) -> None:
    assert resolve(text) == expected


def test_what_gives_nothing_is_left_out_and_null_stays() -> None:
    value = {
        "a": "{{ request.nope }}",
        "b": "{{ request.none }}",
        "c": ["{{ request.nope }}", "{{ request.n }}", None, ["{{ request.nope }}"]],
        "d": {"e": "{{ request.nope & request.nope }}", "f": "{{ (request.nope) }}"},
        "g": 1,
    }
    assert resolve(value) == {"b": None, "c": [5, None, []], "d": {"e": ""}, "g": 1}
    assert resolve({"a": "{{ request.nope }}"}) == {}
    assert list(resolve({"z": "{{ request.n }}", "a": 1, "m": "{{ request.n }}"})) == [
        "z",
        "a",
        "m",
    ]


def test_a_path_gives_the_documents_own_value() -> None:
    assert resolve({"a": "{{ request.tags }}"})["a"] is DOCUMENT["request"]["tags"]


def test_constants_are_known() -> None:
    value = {"a": [1, {"b": "text"}], "c": None}
    template, _ = compile_value(value, STEPS, ())
    assert template.is_constant
    assert template.roots == frozenset()
    assert template.resolve({}, SCOPE) == value
    assert not compile_value({"a": ["{{ $now() }}"]}, STEPS, ())[0].is_constant
    assert compile_value({}, STEPS, ())[0].is_constant


def test_roots_of_all_parts_are_joined() -> None:
    value = {"a": "{{ request.n }}", "b": ["x {{ find-contact.ID }}", {"c": "{{ meta.id & 1 }}"}]}
    assert compile_value(value, STEPS, ())[0].roots == frozenset(
        ("request", "find-contact", "meta")
    )
    assert (
        compile_value({"a": "{{ request.n }}", "b": "{{ $keys($) }}"}, STEPS, ())[0].roots is None
    )


def test_every_problem_is_found_with_its_place() -> None:
    value = {
        "a": "{{ request.n ",
        "b": [1, "{{ price-tax + 1 }}", "{{ }}"],
        "c": {"d": "x {{ request.items.0.n + 1 }}", "e": {1: "x"}, "f": object()},
        "ok": "{{ request.n }}",
    }
    found = problems_of(value)
    assert [place for place, _ in found] == [
        ("steps", 0, "with", "a"),
        ("steps", 0, "with", "b", 1),
        ("steps", 0, "with", "b", 2),
        ("steps", 0, "with", "c", "d"),
        ("steps", 0, "with", "c", "e", 1),
        ("steps", 0, "with", "c", "f"),
    ]
    assert [
        word in message
        for word, (_, message) in zip(
            ["no }}", "`price-tax`", "empty", "items[0]", "not a text", "not JSON"],
            found,
            strict=True,
        )
    ] == [True] * 6


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> Any:
        value: Any = "{{ request.n }}"
        for _ in range(depth):
            value = [value]
        return value

    deepest = resolve(nested(LIMITS.request_depth))
    for _ in range(LIMITS.request_depth):
        [deepest] = deepest
    assert deepest == 5
    [(place, message)] = problems_of(nested(50_000))
    assert len(place) == 3 + LIMITS.request_depth
    assert "request_depth" in message


def test_a_failing_expression_fails_the_whole_value() -> None:
    template, problems = compile_value({"a": "{{ request.name + 1 }}"}, STEPS, ())
    assert problems == []
    with pytest.raises(ExpressionFailed, match="number"):
        template.resolve(DOCUMENT, SCOPE)


def test_a_text_is_bounded() -> None:
    template, _ = compile_value("{{ request.t }}{{ request.t }}", STEPS, ())
    half = "x" * (LIMITS.expression_result_bytes // 2)
    assert len(template.resolve({"request": {"t": half}}, SCOPE)) == 2 * len(half)
    with pytest.raises(ExpressionFailed, match="expression_result_bytes"):
        template.resolve({"request": {"t": half + "xx"}}, SCOPE)
