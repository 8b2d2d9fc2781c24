"""Operations: every test, every transform, and what is said of a word that is neither."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.comparisons import TESTS, TYPE_NAMES, equal, is_empty, is_php_empty, type_name
from beltline.core.limits import LIMITS
from beltline.core.operations import TRANSFORMS, OperationError, compile_operation
from beltline.core.path import MISSING


def holds(operation: str, field: Any, value: Any = None) -> bool:
    """Ask both forms of an operation, which must agree."""
    compiled = compile_operation(operation)
    notes: list[str] = []
    result = compiled.holds(field, value, notes)
    check = compiled.check(value)
    if check is not None:
        assert check(field) is result
    return result


def notes_of(operation: str, field: Any, value: Any) -> list[str]:
    notes: list[str] = []
    assert compile_operation(operation).holds(field, value, notes) is False
    return notes


EMPTY: list[Any] = [MISSING, None, "", [], {}]
NOT_EMPTY: list[Any] = [0, 0.0, False, True, 1, "0", " ", [0], [None], {"a": None}]

ONE_OF_EACH: list[Any] = [MISSING, None, True, 1, "", [], {}]


def test_empty() -> None:
    assert [holds("empty", value) for value in EMPTY] == [True] * len(EMPTY)
    assert [holds("empty", value) for value in NOT_EMPTY] == [False] * len(NOT_EMPTY)
    for value in (*EMPTY, *NOT_EMPTY):
        assert holds("!|empty", value) is not holds("empty", value)
        assert holds("!|!|empty", value) is holds("empty", value)


def test_php_empty() -> None:
    assert all(is_php_empty(value) for value in (*EMPTY, 0, 0.0, "0", False))
    assert not any(is_php_empty(value) for value in (1, "0.0", " ", "00", True, [0], {"a": 0}))
    assert holds("php-empty", "0")
    assert not holds("!|php-empty", "0")


def test_exists_is_about_presence_alone() -> None:
    assert not holds("exists", MISSING)
    assert all(holds("exists", value) for value in ONE_OF_EACH[1:])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (1.0, True, False),
        ("1", 1, False),
        (None, None, True),
        (None, MISSING, False),
        (MISSING, MISSING, False),
        (MISSING, "", False),
        ("a", "a", True),
        ("a", "A", False),
        (2**63, float(2**63), True),
        (2**53 + 1, float(2**53), False),
        ([], {}, False),
        ([1, [2]], [1.0, [2.0]], True),
        ([1], [True], False),
        ([0], [None], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("", None, False),
        ([None], [None], True),
        ({"a": True}, {"a": 1}, False),
        ([1], 1, False),
        ("a", ["a"], False),
    ],
)
def test_equality(left: Any, right: Any, expected: bool) -> None:
    assert equal(left, right) is expected
    assert equal(right, left) is expected
    assert holds("=", left, right) is expected
    assert holds("!=", left, right) is not expected
    assert holds("!|=", left, right) is not expected


def test_equality_of_any_depth_needs_no_recursion() -> None:
    left: Any = 1
    right: Any = 1.0
    for _ in range(20_000):
        left, right = [left], [right]
    assert equal(left, right)
    assert not equal(left, [right])


@pytest.mark.parametrize(
    ("operation", "field", "value", "expected"),
    [
        (">", 2, 1, True),
        (">", 1, 1, False),
        (">=", 1, 1.0, True),
        ("<", "a", "b", True),
        ("<=", "b", "a", False),
        ("<", -1, 0.5, True),
        (">", 2**60 + 1, float(2**60), True),
        ("between", 5, [1, 5], True),
        ("between", 5.1, [1, 5], False),
        ("between", "2026-05-01", ["2026-01-01", "2026-12-31"], True),
        ("in", "b", ["a", "b"], True),
        ("in", 1, [True, "1"], False),
        ("in", 1, [1.0], True),
        ("in", [1], [[1]], True),
        ("in", [], ["a"], False),
        ("in", {}, ["a"], False),
        ("contains", "abc", "bc", True),
        ("contains", "abc", "B", False),
        ("contains", [1, "b"], "b", True),
        ("contains", {"a": 1}, "a", True),
        ("contains", {"a": 1}, 1, False),
        ("contains", 5, 5, False),
        ("contains", MISSING, "", False),
        ("starts", "abc", "ab", True),
        ("starts", ["a"], "a", False),
        ("ends", "abc", "bc", True),
        ("ends", None, "", False),
        ("matches", "tel 12-34", r"\d+-\d+", True),
        ("matches", "x", "^y", False),
        ("matches", 5, "5", False),
        ("matches", "ЁЛКА", "(?i)ёлка", True),
        ("type", MISSING, "missing", True),
        ("type", True, "boolean", True),
        ("type", True, "number", False),
        ("type", {}, "object", True),
        ("type", [], "list", True),
        ("type", None, "null", True),
        ("type", "", "string", True),
        ("type", 1.5, "number", True),
    ],
)
def test_tests_with_a_value(operation: str, field: Any, value: Any, expected: bool) -> None:
    assert holds(operation, field, value) is expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("5", 3), (True, 0), (None, 1), (MISSING, 1), ([5], 1), ({}, "a"), (5, "3")],
)
def test_unlike_types_have_no_order_and_this_is_noted(field: Any, value: Any) -> None:
    for operation in (">", ">=", "<", "<="):
        assert notes_of(operation, field, value) == [
            f"{type_name(field)} and {type_name(value)} have no order"
        ]
    assert notes_of("between", field, [value, value])


def test_values_of_other_fields_that_do_not_fit_are_noted() -> None:
    assert notes_of("in", "a", "abc") == ["in takes a list, not string"]
    assert notes_of("between", 1, 5) == ["between takes a list of two values"]
    assert "not RE2" in notes_of("matches", "a", "(")[0]
    assert "regex_bytes" in notes_of("matches", "a", "x" * (LIMITS.regex_bytes + 1))[0]


@pytest.mark.parametrize(
    ("operation", "field", "value", "expected"),
    [
        ("lower|=", "ABC", "abc", True),
        ("lower|=", 5, 5, True),
        ("lower|=", "abc", "ABC", False),
        ("upper|=", "abc", "ABC", True),
        ("trim|empty", "  ", None, True),
        ("trim|lower|=", " Yes ", "yes", True),
        ("len|>=", "абв", 3, True),
        ("len|=", [], 0, True),
        ("len|=", {"a": 1}, 1, True),
        ("len|exists", 5, None, False),
        ("len|=", MISSING, 0, False),
        ("number|>", "10", 9, True),
        ("number|=", " 1e3 ", 1000, True),
        ("number|=", "-0.5", -0.5, True),
        ("number|exists", "ten", None, False),
        ("number|exists", True, None, False),
        ("number|exists", "", None, False),
        ("number|exists", "1e999", None, False),
        ("number|exists", "nan", None, False),
        ("number|exists", "9" * 5000, None, False),
        ("number|=", "9007199254740993", 9007199254740993, True),
        ("number|=", "٣", 3, False),
        ("any|=", ["a", "b"], "b", True),
        ("any|=", [], "b", False),
        ("any|=", MISSING, "b", False),
        ("any|=", None, None, False),
        ("any|=", "b", "b", True),
        ("all|>", [2, 3], 1, True),
        ("all|>", [2, 1], 1, False),
        ("all|>", [], 1, True),
        ("all|>", MISSING, 1, True),
        ("!|any|=", [1, 2], 3, True),
        ("any|!|=", [1, 2], 1, True),
        ("all|!|empty", ["", "a"], None, False),
        ("any|len|>", ["a", "abc"], 2, True),
        ("any|any|=", [[1], [2]], 2, True),
        ("first|=", [1, 2], 1, True),
        ("last|=", [1, 2], 2, True),
        ("first|exists", [], None, False),
        ("first|=", 7, 7, True),
        ("keys|contains", {"a": 1}, "a", True),
        ("values|any|=", {"a": 1}, 1, True),
        ("keys|exists", [1], None, False),
        ("values|exists", "x", None, False),
        (" trim | lower | = ", " A ", "a", True),
    ],
)
def test_pipelines(operation: str, field: Any, value: Any, expected: bool) -> None:
    assert holds(operation, field, value) is expected


def test_transforms_leave_the_value_alone() -> None:
    assert not holds("lower|=", "abc", "ABC")
    assert not holds("trim|=", "a", " a")
    assert not holds("number|=", "5", "5")


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("emty", "did you mean empty?"),
        ("==", "did you mean =?"),
        ("!empty", "did you mean !|empty?"),
        ("lowr|=", "did you mean lower?"),
        ("not|empty", "did you mean !?"),
        ("isset", "did you mean exists?"),
        ("!|", "write words"),
        ("", "write words"),
        ("lower", "write lower|empty"),
        ("empty|!", "put the test last"),
        ("empty|=", "put the test last"),
        ("regex", "did you mean matches?"),
        ("qqqqqq", "known: "),
    ],
)
def test_unknown_words_say_what_to_write(text: str, suggestion: str) -> None:
    with pytest.raises(OperationError) as caught:
        compile_operation(text)
    assert caught.value.suggestion.startswith(suggestion)


def test_length_is_bounded() -> None:
    with pytest.raises(OperationError, match="name_bytes"):
        compile_operation("!|" * LIMITS.name_bytes + "empty")


@pytest.mark.parametrize(
    ("operation", "value", "message"),
    [
        (">", "5", ""),
        (">", True, "takes a number or a string"),
        (">", None, "takes a number"),
        ("in", "abc", "takes a list"),
        ("in", [], ""),
        ("between", [1], "two numbers"),
        ("between", [1, "2"], "two numbers"),
        ("between", [1, 2], ""),
        ("starts", 5, "takes a string"),
        ("matches", "(", "not RE2"),
        ("matches", "(?=a)", "not RE2"),
        ("matches", "a+", ""),
        ("type", "int", "one of missing, null"),
        ("type", "list", ""),
        ("=", {"a": 1}, ""),
        ("contains", 5, ""),
    ],
)
def test_constants_are_checked(operation: str, value: Any, message: str) -> None:
    problem = compile_operation(operation).value_problem(value)
    assert message in problem
    assert bool(problem) is bool(message)


def test_patterns_take_linear_time() -> None:
    assert not holds("matches", "x" * 200_000, "(x+x+)+y")
    assert not holds("matches", "\ud800", "a")


def test_every_word_is_described_and_reachable() -> None:
    for name, test in TESTS.items():
        assert test.summary.endswith(".")
        assert compile_operation(name).words == (name,)
    for name, transform in TRANSFORMS.items():
        assert transform.summary.endswith(".")
        assert compile_operation(f"{name}|empty").words == (name, "empty")
    assert {type_name(v) for v in ONE_OF_EACH} == set(TYPE_NAMES)
    assert is_empty(MISSING)
