"""JSON is read strictly, with positions."""

from __future__ import annotations

import pytest

from beltline.core.limits import LIMITS, Limits
from beltline.definition.json_reader import read_json
from beltline.definition.tree import Document, Fault, Unreadable


def refusal(text: str, limits: Limits = LIMITS) -> tuple[int, int, Fault]:
    with pytest.raises(Unreadable) as caught:
        read_json(text, limits=limits)
    fault = caught.value.fault
    return (*Document(text, None, 0, {}).line_column(fault.offset), fault)


def test_values_and_positions() -> None:
    text = '{\n\t"a": [1, -0.5, 2E3, true, null],\n  "\\u0431": "\\ud83d\\ude00\\/\\n", "c": {}}\n'
    document = read_json(text)
    assert document.faults == []
    assert document.data == {
        "a": [1, -0.5, 2000.0, True, None],
        "б": "\U0001f600/\n",
        "c": {},
    }
    assert document.position(("a", 1)) == (2, 11)
    assert document.key_position(("б",)) == (3, 3)
    assert document.position(("б",)) == (3, 13)
    assert document.position(("c",)) == (3, 38)


@pytest.mark.parametrize("text", ["1", '"a"', "null", " [ ] ", "\ufeff{}"])
def test_any_value_may_be_the_whole(text: str) -> None:
    assert read_json(text).faults == []


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "the text ends where a value should stand"),
        ("[1,\n2", 2, 2, "the text ends where a comma or the end of the list or object"),
        ('{"a": 1,\n}', 1, 8, "a comma stands before }"),
        ("[1, ]", 1, 3, "a comma stands before ]"),
        ("[1 2]", 1, 4, "a comma or the end of the list or object should stand here, not 2"),
        ('{"a" 1}', 1, 6, "a colon should stand here, not 1"),
        ("{a: 1}", 1, 2, "a is no value of JSON"),
        ("{1: 1}", 1, 2, "a key in double quotes or } should stand here, not 1"),
        ("['a']", 1, 2, "JSON takes texts in double quotes"),
        ("[NaN]", 1, 2, "NaN is no value of JSON"),
        ("[-Infinity]", 1, 2, "-Infinity is no value of JSON"),
        ("[True]", 1, 2, "True is no value of JSON"),
        ("[01]", 1, 2, "this is not a number of JSON"),
        ("[1.]", 1, 2, "this is not a number of JSON"),
        ("[.5]", 1, 2, "this is not a number of JSON"),
        ("[+1]", 1, 2, "this is not a number of JSON"),
        ("[1e]", 1, 2, "this is not a number of JSON"),
        ("[1] // x", 1, 5, "JSON has no comments"),
        ("[1] 2", 1, 5, "nothing more should stand here, not 2"),
        ("[1]]", 1, 4, "nothing more should stand here"),
        ("[1}", 1, 3, "should stand here, not }"),
        ('{"a":1]', 1, 7, "should stand here, not ]"),
        ('["a\nb"]', 1, 4, "a line break or control character stands in a text"),
        ('["a\\x"]', 1, 4, "this escape is not known to JSON"),
        ('["abc', 1, 2, "the text that begins here has no end"),
        ("[\u00a01]", 1, 2, "should stand here"),
    ],
)
def test_what_is_not_json_is_refused_in_its_place(
    text: str, line: int, column: int, says: str
) -> None:
    at_line, at_column, fault = refusal(text)
    assert (at_line, at_column) == (line, column), fault
    assert says in fault.message


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ('{"a": 1, "a": 2}', 10, 'the key "a" stands here a second time'),
        ('{"a": 1, "\\u0061": 2}', 10, 'the key "a" stands here a second time'),
        ("[18446744073709551616]", 2, "past 64 bits"),
        ("[1e999]", 2, "too large"),
        ('["\\ud800"]', 2, "half of a surrogate pair"),
    ],
)
def test_what_json_allows_and_data_cannot_keep_is_reported(
    text: str, column: int, says: str
) -> None:
    document = read_json(text)
    assert [document.line_column(fault.offset) for fault in document.faults] == [(1, column)]
    assert says in document.faults[0].message


def test_the_first_of_two_equal_keys_stands() -> None:
    assert read_json('{"a": 1, "a": {"b": [2]}, "c": 3}').data == {"a": 1, "c": 3}


def test_limits_are_named() -> None:
    assert "definition_depth" in refusal("[[[", Limits(definition_depth=2))[2].message
    assert "definition_nodes" in refusal("[1,2,3]", Limits(definition_nodes=3))[2].message
    assert "definition_bytes" in refusal("[1,2,3]", Limits(definition_bytes=3))[2].message


def test_depth_is_bounded_by_the_limit_alone() -> None:
    depth = LIMITS.definition_depth
    assert read_json("[" * depth + "]" * depth).position(()) == (1, 1)
    line, column, fault = refusal("[" * 100_000)
    assert (line, column) == (1, depth + 1)
    assert "definition_depth" in fault.message
