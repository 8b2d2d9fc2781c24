"""Expressions: what JSONata means, and the rules that the hub puts around it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from beltline.core.expression import (
    ExpressionError,
    ExpressionFailed,
    Scope,
    compile_expression,
)
from beltline.core.functions import FUNCTIONS
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING

SCOPE = Scope(now_ms=1_700_000_000_000, run="r-1", seq=3)
STEPS = ("find-contact", "find", "get-deal", "get-deal-by-id", "24-hours", "2nd")
CASES = json.loads((Path(__file__).parent / "jsonata_cases.json").read_text("utf-8"))


def give(source: str, document: dict[str, Any] | None = None, scope: Scope = SCOPE) -> Any:
    return compile_expression(source, STEPS).evaluate(document or {}, scope)


def refusal(source: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, STEPS)
    return str(caught.value)


def failure(source: str, document: dict[str, Any] | None = None) -> str:
    with pytest.raises(ExpressionFailed) as caught:
        give(source, document)
    return str(caught.value)


# JSONata


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_jsonata_means_what_its_documentation_says(case: dict[str, Any]) -> None:
    if case.get("fails"):
        assert failure(case["expression"], case["data"])
        return
    value = give(case["expression"], case["data"])
    expected = case.get("gives", MISSING)
    assert value == expected
    assert type(value) is type(expected)


# Bare paths


def test_a_bare_path_is_read_directly() -> None:
    document: dict[str, Any] = {
        "request": {"items": [{"n": 1}], "id": 2**60 + 1},
        "get-deal": {"a": [1]},
    }
    assert give("request.id", document) == 2**60 + 1
    assert give("request.items.n", document) is MISSING
    assert give("request.items.0.n", document) == 1
    assert give("get-deal.a", document) is document["get-deal"]["a"]
    compiled = compile_expression(" unknown-step.a ", ())
    assert compiled.roots == frozenset(("unknown-step",))
    assert compiled.reader is not None


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("5", 5),
        ("1e3", 1000),
        ("-2", -2),
        ('"a"', "a"),
    ],
)
def test_constants_are_no_paths(source: str, value: object) -> None:
    assert give(source, {"true": 0, "false": 0, "null": 0, "5": 0, "1e3": 0}) == value


# Hyphens


def test_known_step_ids_with_hyphens_need_no_backticks() -> None:
    document = {
        "get-deal": {"a": 1},
        "get-deal-by-id": {"a": 2},
        "find": 10,
        "24-hours": {"a": 4},
        "2nd": {"a": 8},
    }
    assert give("get-deal.a + get-deal-by-id.a", document) == 3
    assert give("`get-deal`.a + 0", document) == 1
    assert give("24-hours.a + 2nd.a", document) == 12
    assert give("find - get-deal.a", document) == 9
    assert give("[5-3, (5)-3]", document) == [2, 2]


def test_hyphens_inside_texts_backticks_regexes_and_comments_are_left_alone() -> None:
    document = {"a": {"get-deal": 1}, "t": "x get-deal y"}
    assert give('"get-deal" & a.`get-deal`', document) == "get-deal1"
    assert give("'get-deal' & \"\"", document) == "get-deal"
    assert give("$contains(t, /get-deal/) /* get-deal unknown-one */ and true", document) is True


def test_other_hyphenated_names_are_refused_with_what_to_write() -> None:
    message = refusal("request.first-name & 1")
    assert "`first-name`" in message
    assert "first - name" in message
    assert "`price-tax`" in refusal("price-tax + 1")
    assert "`get-deal-1`" in refusal("get-deal-1 + 1")
    with pytest.raises(ExpressionError) as caught:
        compile_expression("a + b-c", STEPS)
    assert caught.value.offset == 4


def test_a_list_index_after_a_dot_is_refused_with_brackets_suggested() -> None:
    assert "items[0], not items.0" in refusal("request.items.0.price * 2")
    assert "[1]" in refusal("$count(a.1)")


# What is forbidden or derived


def test_eval_shuffle_and_the_hubs_own_names_are_refused() -> None:
    assert "$eval" in refusal('$eval("1")')
    assert "$eval" in refusal("($e := $eval; $e(a))")
    assert "items^(name)" in refusal("$shuffle(a)")
    assert "belong to the hub" in refusal("($beltline_size := 1; a)")
    assert give('"$eval" & "`$shuffle`"') == "$eval`$shuffle`"


def test_time_is_the_decisions_own() -> None:
    assert give("$millis()") == SCOPE.now_ms
    assert give("$now()") == "2023-11-14T22:13:20.000Z"
    assert give('$now("[Y0001]-[M01]", "+0300")') == "2023-11"
    assert give("$millis() - $toMillis($now())") == 0


def test_chance_is_repeatable_and_not_constant() -> None:
    source = "[$random(), $random()]"
    first = give(source)
    assert first == give(source)
    assert first[0] != first[1]
    assert all(0 <= number < 1 for number in first)
    for other in (Scope(0, "r-2", 3), Scope(0, "r-1", 4)):
        assert give(source, scope=other) != first
    assert give(source, scope=Scope(99, "r-1", 3)) == first


# Errors of the author


@pytest.mark.parametrize(
    "source",
    [
        "",
        "  ",
        "a +",
        "a b",
        "(a",
        '"abc',
        "`abc",
        "a /* b",
        "{1",
        "a ? : b",
        "$match(a, /(/)",
        "$match(a, /(?=x)/)",
        "a := 1 +",
    ],
)
def test_what_does_not_compile_is_refused_at_once(source: str) -> None:
    assert refusal(source)


def test_length_is_bounded() -> None:
    assert give('"' + "x" * (LIMITS.expression_bytes - 2) + '"')
    assert "expression_bytes" in refusal('"' + "x" * (LIMITS.expression_bytes - 1) + '"')
    assert "regex_bytes" in refusal("$match(a, /" + "x" * LIMITS.regex_bytes + "/)")


@pytest.mark.parametrize("opening", ["(", "[", "$not(", '{"a":', "function(){", "-", "a.("])
def test_nesting_ends_in_an_error_not_in_a_crash(opening: str) -> None:
    closing = {"(": ")", "[": "]", "{": "}"}.get(opening.lstrip("$not").lstrip("a."), "")
    if opening in ('{"a":', "function(){"):
        closing = "}"
    depth = LIMITS.expression_bytes // (len(opening) + len(closing)) - 1
    source = opening * depth + "1" + closing * depth
    with suppress(ExpressionError, ExpressionFailed):
        give(source, {"a": 1})


# Values


def test_nothing_null_and_a_function_are_told_apart() -> None:
    assert give("(a)", {}) is MISSING
    assert give("(a)", {"a": None}) is None
    assert "function" in failure("$sum")
    assert "function" in failure("function($x) { $x }")


def test_integers_beyond_2_53_are_texts_in_expressions() -> None:
    exact = 2**53
    document: dict[str, Any] = {
        "a": {"id": exact + 1, "list": [{"id": -exact - 1}], "small": exact}
    }
    assert give('a.id & ""', document) == str(exact + 1)
    assert give("a.list.(id)", document) == str(-exact - 1)
    assert give("(a.small)", document) == exact
    assert give('"id " & **.id[0]', document).startswith("id ")
    assert give('a.list[id = "-9007199254740993"].id ? 1 : 2', document) == 1
    assert give('($x := a; $x.id & "")', document) == str(exact + 1)
    assert document["a"]["list"][0]["id"] == -exact - 1  # a copy was changed


def test_the_document_is_not_changed() -> None:
    document = {"a": {"n": 1, "list": [1, 2]}}
    give('a ~> |$|{"n": 2}|', document)
    give("$append(a.list, 3)", document)
    give("$sort(a.list, function($l, $r) { $l < $r })", document)
    assert document == {"a": {"n": 1, "list": [1, 2]}}


def test_numbers_that_json_cannot_carry_fail() -> None:
    assert "not finite" in failure("1 / 0")
    assert "not finite" in failure('{"a": [1, {"b": n / 0}]}', {"n": 1})
    assert "not finite" in failure("$round(1.5, n)", {"n": 10**9})


def test_a_text_that_python_cannot_encode_fails_cleanly() -> None:
    assert failure("a & 1", {"a": "\ud800"})


# Roots


@pytest.mark.parametrize(
    ("source", "roots"),
    [
        ("request.a + get-deal.b", {"request", "get-deal"}),
        ("request.items[price > limit].name", {"request"}),
        ("request.items.(price * qty)", {"request"}),
        ('request.items.{"p": price, "n": $$.meta.id}', {"request", "meta"}),
        ("request.items^(>price)[0]", {"request"}),
        ("request.items{kind: $sum(price)}", {"request"}),
        ("$map(request.items, function($i) { $i.n * rate.k })", {"request", "rate"}),
        ("function($x)<n:n>{ $x + k }(1)", {"k"}),
        ("$.a + $$.b", {"a", "b"}),
        ("request.name.$uppercase($)", {"request"}),
        ("a and b or c in d", {"a", "b", "c", "d"}),
        ('`find contact`.a & ""', {"find contact"}),
        ("true ? 1 : null", set()),
        ("$now()", set()),
        ("$string(a)", {"a"}),
        ("a ~> $string", {"a"}),
        ("a.* ~> $count", {"a"}),
        ('[a, {"k": b}]', {"a", "b"}),
        ("$", None),
        ("$$", None),
        ("$keys($)", None),
        ("$keys()", None),
        ("*", None),
        ("**.a", None),
        ("a.%", None),
        ('$lookup("a")', None),
        ("($d := $$; $d.a)", None),
    ],
)
def test_roots_tell_what_can_be_read(source: str, roots: set[str] | None) -> None:
    assert compile_expression(source, STEPS).roots == roots


# Functions of the hub


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_of_own_functions(name: str) -> None:
    function = FUNCTIONS[name]
    assert function.summary.endswith(".")
    assert function.signature.startswith(f"${name}(")
    for call, result in function.examples:
        assert give(call) == result


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('$phone("+7 900 123-45-67")', "+79001234567"),
        ('$phone("9001234567")', "+79001234567"),
        ('$phone("00 49 30 901820")', "+4930901820"),
        ('$phone("0049 30 901820", 1)', "+4930901820"),
        ("$phone(89001234567)", "+79001234567"),
        ('$phone("ask Ann")', MISSING),
        ('$phone("12")', MISSING),
        ('$phone("")', MISSING),
        ("$phone(nope)", MISSING),
        ("$phone(null)", MISSING),
        ("$phone([1])", MISSING),
        ('$phone("900 123", "x")', MISSING),
        ('$phone("+7 900 123")', MISSING),
        ('$phone("+1234567890123456")', MISSING),
        ('$email("a@b")', MISSING),
        ('$email("a b@c.de")', MISSING),
        ('$email("a..b@c.de")', MISSING),
        ('$email("mailto:A@c.de")', "a@c.de"),
        ('$email("аня@почта.рф")', "аня@почта.рф"),
        ('$date("2026-02-30")', MISSING),
        ('$date("2026-12-31T10:00:00Z")', "2026-12-31"),
        ('$date("12/31/2026", "month")', "2026-12-31"),
        ('$date("20261231")', "2026-12-31"),
        ("$date(1e300)", MISSING),
        ('$date("soon")', MISSING),
        ("$date(1700000000000)", "2023-11-14"),
        ('{"p": $phone(nope), "q": 1}', {"q": 1}),
    ],
)
def test_own_functions(source: str, expected: object) -> None:
    value = give(source)
    assert value == expected
    assert type(value) is type(expected)


def test_own_functions_read_short_texts_only() -> None:
    for name in FUNCTIONS:
        assert give(f"${name}(t)", {"t": "1" * 2_000_000}) is MISSING
