"""YAML is read as its author sees it, or refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.limits import LIMITS, Limits
from beltline.definition.tree import Document, Fault, Unreadable
from beltline.definition.yaml_reader import read_yaml


def placed(document: Document) -> list[tuple[int, int, str]]:
    return [
        (*document.line_column(fault.offset), f"{fault.message}. {fault.suggestion}".strip())
        for fault in document.faults
    ]


def refusal(text: str, limits: Limits = LIMITS) -> tuple[int, int, Fault]:
    with pytest.raises(Unreadable) as caught:
        read_yaml(text, limits=limits)
    fault = caught.value.fault
    return (*Document(text, None, 0, {}).line_column(fault.offset), fault)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("0x1F", 31),
        ("0o17", 15),
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e", "1e"),
        ("+7 912 000-00-00", "+7 912 000-00-00"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("<", "<"),
        ("'007'", "007"),
        ('"1"', "1"),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)
def test_a_scalar_is_what_it_looks_like(written: str, meant: Any) -> None:
    document = read_yaml(f"a: {written}")
    assert document.faults == []
    value = document.data["a"]
    assert (value, type(value)) == (meant, type(meant))


@pytest.mark.parametrize("key", ["on", "off", "yes", "no", "=", "y"])
def test_words_of_old_yaml_are_plain_keys(key: str) -> None:
    assert read_yaml(f"{key}: 1").data == {key: 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 0123", 1, 4, '0123 could be a number or a text. Write "0123" in quotes'),
        ("a: -007", 1, 4, "-007 could be a number or a text"),
        ("a: .inf", 1, 4, ".inf is not a number that JSON data can hold"),
        ("a: -.INF", 1, 4, "-.INF is not a number"),
        ("a: .nan", 1, 4, ".nan is not a number"),
        ("a: 1e400", 1, 4, "1e400 is too large for a number"),
        ("a: 18446744073709551616", 1, 4, "past 64 bits"),
        ("a: 0xFFFFFFFFFFFFFFFFF", 1, 4, "past 64 bits"),
        ("a: 0x000000000000000000001", 1, 4, "past 64 bits"),
        ("a: 1\nb: 2\na: 3", 3, 1, 'the key "a" stands here a second time'),
        ("{a: 1, a: 2}", 1, 8, 'the key "a" stands here a second time'),
        ("a: &x 1", 1, 4, "anchors (&x) are not allowed"),
        ("a: &x [1]", 1, 4, "anchors (&x) are not allowed"),
        ("a: &x {b: 1}", 1, 4, "anchors (&x) are not allowed"),
        ("a: &x 1\nb: *x", 2, 4, "aliases (*x) are not allowed"),
        ("a: &x 1\n*x : 2", 2, 1, "aliases (*x) are not allowed"),
        ("a: !!str 1", 1, 4, "tags (tag:yaml.org,2002:str) are not allowed. Leave the tag out"),
        ("a: !empty", 1, 4, 'Write a text that begins with ! in quotes: "!empty"'),
        ("a: !!python/object:os.system []", 1, 4, "are not allowed"),
        ("<<: {a: 1}", 1, 1, "merge keys (<<) are not allowed"),
        ("1: a", 1, 1, 'a key is text, and 1 is not. Write it in quotes: "1"'),
        ("true: a", 1, 1, 'a key is text, and true is not. Write it in quotes: "true"'),
        ("null: a", 1, 1, "a key is text, and null is not"),
        ("?\n: b", 1, 2, "a key is missing"),
        ("? [a]\n: b", 1, 3, "a key must be a text, not a list or an object"),
        ("a: {{ request.x }}", 1, 4, 'must stand in quotes. Write "{{ request.x }}"'),
        ("a: [\n\tb]", 2, 1, "a tab stands where the line is indented"),
        ("a: >\nb: 1", 1, 4, 'Write it in quotes: ">"'),
    ],
)
def test_a_mistake_is_reported_in_its_place(text: str, line: int, column: int, says: str) -> None:
    found = placed(read_yaml(text))
    assert any(place == [line, column] and says in message for *place, message in found), found


def test_all_mistakes_are_found_in_one_reading() -> None:
    document = read_yaml("a: &x 1\na: 2\nb: 012\n3: c\nd: *x\n")
    assert [line for line, _, _ in placed(document)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a:\n\t- b", 2, 1, "a tab stands where the line is indented"),
        ("a:\n  b: 1\n\tc: 2", 3, 1, "a tab stands where the line is indented"),
        ("a: b\n---\nc: d", 2, 1, "a second document starts here"),
        ("", 1, 1, "the file is empty"),
        ("# only a comment\n", 1, 1, "the file is empty"),
        ("a: [b", 1, 6, "did not find expected ',' or ']'"),
        ("a: b: c", 1, 5, 'a ": " cannot stand here'),
        ("a: @x", 1, 4, "a plain text cannot begin with @"),
        ("a: `x`", 1, 4, "a plain text cannot begin with `"),
        ("a: >=", 1, 5, "did not find expected comment or line break"),
        ("a: !|empty", 1, 5, "did not find expected whitespace or line break"),
        ("a: \x00", 1, 4, "the character U+0000 cannot stand in YAML"),
        ("a: \ud800", 1, 4, "the character U+D800 cannot stand in YAML"),
    ],
)
def test_a_broken_text_ends_the_reading_in_its_place(
    text: str, line: int, column: int, says: str
) -> None:
    at_line, at_column, fault = refusal(text)
    assert (at_line, at_column) == (line, column)
    assert says in fault.message


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("a: >=", '">="'), ("a: !|empty", '"!|empty"'), ("a: @x", "quotes"), ("a: b: c", "quotes")],
)
def test_signs_that_yaml_takes_for_its_own_are_explained(text: str, suggestion: str) -> None:
    assert suggestion in refusal(text)[2].suggestion


def test_tabs_inside_of_texts_belong_to_them() -> None:
    document = read_yaml('a: "x\n\ty"\nb: |\n  x\n  \ty\nc:\td\n')
    assert document.faults == []
    assert document.data == {"a": "x y", "b": "x\n\ty\n", "c": "d"}


def test_positions_lead_to_keys_and_values() -> None:
    text = "a: 1\nб:\n  - {c: 'д', e: [1,\n     22]}\n  - x\n"
    document = read_yaml(text)
    assert document.position(()) == (1, 1)
    assert document.position(("б",)) == (3, 3)
    assert document.key_position(("б",)) == (2, 1)
    assert document.position(("б", 0, "e", 1)) == (4, 6)
    assert document.key_position(("б", 0, "e")) == (3, 14)
    assert document.position(("б", 1)) == (4 + 1, 5)
    assert document.position(("б", 0, "missing", 3)) == (3, 5), "the nearest parent"


def test_a_byte_order_mark_and_windows_line_ends_change_no_position() -> None:
    document = read_yaml("\ufeffa: 1\r\nb: 2\r\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.key_position(("b",)) == (2, 1)


def test_a_wide_object_is_addressed_by_name() -> None:
    document = read_yaml("\n".join(f"k{index}: {index}" for index in range(500)))
    assert document.position(("k499",)) == (500, 7)


@pytest.mark.parametrize("count", [3, 100])
def test_positions_follow_keys_that_are_set_and_removed(count: int) -> None:
    document = read_yaml("\n".join(f"k{index}: {index}" for index in range(count)))
    assert document.position((f"k{count - 1}",)) == (count, len(f"k{count - 1}: ") + 1)
    document.remove_key(document.data, "k0")
    assert document.key_position((f"k{count - 1}",)) == (count, 1)
    document.set_key(document.data, "new", True, 0)
    document.set_key(document.data, "k1", True, 2)
    assert document.position(("new",)) == (1, 1)
    assert document.position(("k1",)) == (1, 3)
    assert document.key_position(("k1",)) == (2, 1)


def test_limits_are_named() -> None:
    assert "definition_bytes" in refusal("a" * 101, Limits(definition_bytes=100))[2].message
    assert "definition_bytes" in refusal("я" * 51, Limits(definition_bytes=100))[2].message
    assert "definition_depth" in refusal("[" * 5 + "]" * 5, Limits(definition_depth=4))[2].message
    line, column, fault = refusal("[1,\n2, 3]", Limits(definition_nodes=3))
    assert (line, column) == (2, 4)
    assert "definition_nodes" in fault.message


def test_depth_that_costs_too_much_time_is_refused() -> None:
    text = "[" * 7_900 + "[],[]," * 60_000 + "]" * 7_900
    assert "nested too deeply for its length" in refusal(text)[2].message
