"""PHP arrays are read, never run; what is not written out is listed with its place."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from beltline.core.limits import LIMITS, Limits
from beltline.definition.php_reader import read_php
from beltline.definition.tree import Document, Fault, Unreadable


def value_of(expression: str) -> Any:
    php = read_php(f"<?php return ['v' => {expression}];")
    assert php.document.faults == [], php.document.faults
    return php.document.data["v"]


def refusal(text: str, limits: Limits = LIMITS) -> tuple[int, int, Fault]:
    with pytest.raises(Unreadable) as caught:
        read_php(text, limits=limits)
    fault = caught.value.fault
    return (*Document(text, None, 0, {}).line_column(fault.offset), fault)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"'it\'s'", "it's"),
        (r"'a\\b\n$x'", "a\\b\\n$x"),
        (r'"a\tb\n\\ \" \$x \q"', 'a\tb\n\\ " $x \\q'),
        (r'"\101\x41\u{41}\u{1F600}\e"', "AAA\U0001f600\x1b"),
        (r'"\xD0\xB1"', "б"),
        ("'Звонок'", "Звонок"),
        ("''", ""),
        ("'a' . \"b\" . 5 . true . null . ('c' . 'd')", "ab51cd"),
        ("<<<'X'\n  a\n   $b\n  X", "a\n $b"),
        ('<<<X\n  a\\t\n  "b"\n  X', 'a\t\n"b"'),
        ("<<<X\nX", ""),
        ("TRUE", True),
        ("False", False),
        ("NULL", None),
        ("42", 42),
        ("-42", -42),
        ("+1", 1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("017", 15),
        ("0o17", 15),
        ("-1.5e3", -1500.0),
        (".5", 0.5),
        ("(('x'))", "x"),
        ("[]", []),
        ("array()", []),
        ("array(1, [2], /* three */ 'x' // end\n)", [1, [2], "x"]),
        ("[0 => 'a', 1 => 'b']", ["a", "b"]),
        ("[1 => 'a', 'b']", {"1": "a", "2": "b"}),
        ("['a' => 1, 'b']", {"a": 1, "0": "b"}),
        ("['1' => 'a', true => 'b', 1.9 => 'c', null => 'd']", {"1": "a", "": "d"}),
        ("[(('a')) => 1]", {"a": 1}),
        ("['a' . 'b' => 1]", {"ab": 1}),
    ],
)
def test_literals(written: str, meant: Any) -> None:
    php = read_php(f"<?php return ['v' => {written}];")
    value = php.document.data["v"]
    assert (value, type(value)) == (meant, type(meant))


def test_comments_and_what_has_no_effect_are_passed_over() -> None:
    text = (
        "<?php\ndeclare(strict_types=1);\nnamespace App\\Settings;\nuse App\\Steps;\n"
        "# one\n// two\n/* three */\nreturn array(1);\n?>\n"
    )
    php = read_php(text)
    assert php.document.data == [1]
    assert (php.document.faults, php.notes) == ([], [])


def test_class_constants_are_kept_by_name_and_noted() -> None:
    php = read_php(
        "<?php return [Steps::FIRST => ['id' => \\App\\Steps::FIRST,\n 'c' => Foo::class]];"
    )
    assert php.document.data == {"Steps::FIRST": {"id": "\\App\\Steps::FIRST", "c": "Foo"}}
    assert php.document.faults == []
    places = [php.document.line_column(note.offset) for note in php.notes]
    assert places == [(1, 15), (1, 40), (2, 9)]
    assert php.notes[0].message == ("could not carry over: constant Steps::FIRST, written as text")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("env('X')", "a call"),
        ("$x", "a variable"),
        ("$this->x()", "a call"),
        ("Foo::make()", "a call"),
        ("new Foo()", "a new object"),
        ("fn() => 1", "a function"),
        ("function () { return 1; }", "a function"),
        ("true ? 1 : 2", "a choice"),
        ("PHP_EOL", "a constant"),
        ("1 + 1", "a calculation"),
        ("!true", "a calculation"),
        ("(int) '5'", "a conversion"),
        ('"a $x"', "a text with a variable in it"),
        ('"a {$x[0]}"', "a text with a variable in it"),
        ("<<<X\n a $x\n X", "a text with a variable in it"),
        ("'a' . $x", "a variable"),
        ("'a' . 1.5", "a number joined to a text"),
        ("`ls`", "shell command"),
        ("99999999999999999999", "past 64 bits"),
        ('"\\xFF"', "not UTF-8"),
    ],
)
def test_what_is_not_written_out_is_left_out_and_listed(expression: str, why: str) -> None:
    php = read_php(f"<?php return [\n 'a' => 1, 'v' => {expression}, 'l' => [1, {expression}, 2]];")
    assert php.document.data == {"a": 1, "l": [1, 2]}
    assert next(php.document.line_column(fault.offset) for fault in php.document.faults) == (2, 19)
    for fault in php.document.faults:
        assert why in fault.message
    assert len(php.document.faults) == 2


def test_spreads_references_and_unknown_keys_are_left_out() -> None:
    php = read_php("<?php return ['a' => 1, ...$more, &$x, $k => 2, f() => [3], 'z' => 4];")
    assert php.document.data == {"a": 1, "z": 4}
    assert len(php.document.faults) == 4


def test_statements_are_listed_and_not_run() -> None:
    php = read_php("<?php\nunlink('/etc/passwd');\n$x = 1;\nreturn [1];\n")
    assert php.document.data == [1]
    assert [php.document.line_column(fault.offset) for fault in php.document.faults] == [
        (2, 1),
        (3, 1),
    ]


def test_a_key_given_twice_is_reported() -> None:
    php = read_php("<?php return ['a' => 1,\n 'a' => [2]];")
    assert php.document.data == {"a": 1}
    assert [php.document.line_column(fault.offset) for fault in php.document.faults] == [(2, 2)]


def test_positions_count_characters_not_bytes() -> None:
    php = read_php("<?php return [\n 'имя' => 'значение', 'x' => ['я', 'é' => 5]];")
    assert php.document.key_position(("имя",)) == (2, 2)
    assert php.document.position(("имя",)) == (2, 11)
    assert php.document.key_position(("x",)) == (2, 23)
    assert php.document.position(("x", "é")) == (2, 43)


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "the file returns no array"),
        ("just text", 1, 1, "the file returns no array"),
        ("<?php $x = [1];", 1, 1, "the file returns no array"),
        ("<?php return $x;", 1, 14, "the file returns $x, not an array that is written out"),
        ("<?php return f([1]);", 1, 14, "the file returns f([1]), not an array"),
        ("<?php return;", 1, 7, "not an array"),
        ("<?php return ['a' => ];", 1, 19, "this is not PHP from here on"),
        ("<?php return [1, 2;", 1, 1, "this is not PHP"),
        ("<?php return '\ud800';", 1, 15, "not readable as UTF-8"),
    ],
)
def test_what_is_no_array_is_refused(text: str, line: int, column: int, says: str) -> None:
    at_line, at_column, fault = refusal(text)
    assert says in fault.message
    if "this is not PHP" not in says:
        assert (at_line, at_column) == (line, column)


def test_depth_is_bounded_by_the_limit_alone() -> None:
    depth = LIMITS.definition_depth
    assert read_php(f"<?php return {'[' * depth}{']' * depth};").document.faults == []
    text = f"<?php return {'[' * (depth + 1)}{']' * (depth + 1)};"
    line, column, fault = refusal(text)
    assert (line, column) == (1, 14 + depth)
    assert "definition_depth" in fault.message
    assert "definition_bytes" in refusal("<?php ", Limits(definition_bytes=5))[2].message


def test_long_joined_texts_and_parentheses_are_no_deeper() -> None:
    many = 20_000
    assert value_of(" . ".join(["'a'"] * many)) == "a" * many
    assert value_of("(" * many + "'a'" + ")" * many) == "a"


def test_without_the_extra_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_php", None)
    fault = refusal("<?php return [];")[2]
    assert "pip install beltline[php]" in fault.suggestion
