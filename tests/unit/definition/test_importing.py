"""`beltline import`: a PHP array of the original settings becomes a process that checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from beltline.core.model import Process
from beltline.definition.importing import Imported, import_php
from beltline.definition.yaml_reader import read_yaml
from tests.unit.definition.shelf import SHELF, check, lines, process_of

FILES = Path(__file__).parent / "files"


def convert(text: str, output_name: str = "routes.yaml") -> Imported:
    return import_php(text, file="routes.php", output_name=output_name, modules=SHELF)


def convert_array(array: str) -> tuple[Process, list[str], str]:
    """The process of an array that must import and check, the notes, and the YAML."""
    imported = convert(f"<?php\nreturn {array};")
    assert imported.text is not None
    return process_of(imported.text, name="routes"), lines(imported.notes), imported.text


def test_the_file_of_the_original_settings() -> None:
    imported = convert((FILES / "routes.php").read_text(encoding="utf-8"))
    assert imported.text == (FILES / "routes.yaml").read_text(encoding="utf-8")
    notes = "\n".join(lines(imported.notes))
    for name in (
        "bitrix-find-contact",
        "bitrix-lead-set-default-values",
        "get-bitrix-deal-by-id",
        "remember-deal",
    ):
        assert f'"{name}", which the file does not hold: written as `module: set`' in notes
    assert 'routes.php:5:44: warning: prev of step "get-bitrix-deal" names "prev-step"' in notes
    assert 'routes.php:4:47: warning: no module has the name "find-deal"' in notes
    assert len(imported.notes) == 6


def test_what_was_imported_checks_without_errors() -> None:
    checked = check((FILES / "routes.yaml").read_text(encoding="utf-8"), name="routes")
    assert checked.process is not None
    assert checked.process.start == ("get-bitrix-deal",)
    assert [finding.message for finding in checked.findings] == [
        'no route leads to the step "bitrix-find-contact"'
    ]


def test_known_subsystems_parameters_and_policies_are_kept() -> None:
    process, notes, text = convert_array(
        """array(
          'a' => array('id' => 'a', 'subsystem' => 'log', 'title' => 'Первый шаг', 'prev' => [],
                       'with' => ['text' => '{{ request.name }}', 'd' => ['x' => [1, 2.5, null]]],
                       'timeout' => '5s', 'retry' => ['attempts' => 2], 'next' => 'b'),
          'b' => array('subsystem' => 'set', 'with' => [], 'prev' => ['a'], 'on_error' => []),
        )"""
    )
    assert notes == []
    first = process.steps["a"]
    assert (first.implementation, first.title, first.next) == ("log@2", "Первый шаг", ("b",))
    assert (first.timeout_ms, first.retry.attempts) == (5_000, 2)
    assert process.steps["b"].prev == ("a",)
    assert read_yaml(text).data["steps"][0]["with"] == {
        "text": "{{ request.name }}",
        "d": {"x": [1, 2.5, None]},
    }


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        ("'a' => ['prev' => []], 'b' => ['prev' => ['a']]", ["a"]),
        ("'b' => ['prev' => ['a']], 'a' => ['prev' => [], 'next' => ['b']]", ["a"]),
        ("'a' => ['prev' => []], 'b' => ['prev' => '']", ["a", "b"]),
        # Nothing is said of `prev`: a step that is led to is no start.
        ("'a' => ['next' => ['b']], 'b' => []", ["a"]),
        # A loop leads back to a step that says itself to be the first.
        ("'a' => ['prev' => [], 'next' => ['b']], 'b' => ['prev' => ['a'], 'next' => 'a']", ["a"]),
        # Nobody's `prev` is empty: the first.
        ("'a' => ['prev' => ['b'], 'next' => 'b'], 'b' => ['prev' => ['a'], 'next' => 'a']", ["a"]),
        # The only name before it is unknown, so nothing comes before it.
        ("'x' => ['prev' => ['gone'], 'next' => 'y'], 'y' => ['prev' => ['x']]", ["x"]),
    ],
)
def test_start_is_the_steps_with_an_empty_prev_else_the_first(steps: str, start: list[str]) -> None:
    imported = convert(f"<?php return [{steps}];")
    assert imported.text is not None
    assert read_yaml(imported.text).data["start"] == start


def test_an_absent_step_goes_on_to_the_steps_that_name_it_before_them() -> None:
    process, notes, _ = convert_array(
        "['a' => ['subsystem' => 'set', 'prev' => [], 'next' => ['gap']],"
        " 'b' => ['subsystem' => 'set', 'prev' => ['gap', 'nowhere']]]"
    )
    assert process.steps["gap"].next == ("b",)
    assert process.steps["b"].prev == ("gap",)
    assert len(notes) == 2
    assert 'names "nowhere", which the file does not hold: dropped' in notes[1]


def test_empty_becomes_php_empty_at_every_depth() -> None:
    _, _, text = convert_array(
        """['a' => ['subsystem' => 'set', 'condition' => [
          ['and' => [['field' => 'request.x', 'operation' => 'trim|empty'],
                     ['field' => 'request.z', 'operation' => 'php-empty'],
                     ['not' => ['field' => 'request.empty', 'operation' => '!|empty']]],
           'failure' => [['field' => 'request.y', 'operation' => '=', 'value' => 'empty',
                          'result' => []]]]]]]"""
    )
    item = read_yaml(text).data["steps"][0]["condition"][0]
    assert item["and"][0]["operation"] == "trim|php-empty"
    assert item["and"][1]["operation"] == "php-empty"
    assert item["and"][2]["not"] == [{"field": "request.empty", "operation": "!|php-empty"}]
    assert item["failure"][0]["value"] == "empty"
    assert item["failure"][0]["result"] == []


def test_looser_forms_of_php_lists() -> None:
    """A single item without its list, numbered lists with gaps, a single id."""
    process, notes, text = convert_array(
        """['a' => ['subsystem' => 'set', 'next' => [1 => 'b', 5 => 'c'], 'condition' =>
             ['field' => 'request.x', 'operation' => 'empty',
              'success' => [3 => ['field' => 'request.y', 'operation' => 'empty',
                                  'result' => 'b']]]],
            'b' => ['subsystem' => 'set', 'prev' => null, 'next' => null, 'condition' => null],
            'c' => ['subsystem' => 'set', 'condition' => []]]"""
    )
    assert process.steps["a"].next == ("b", "c")
    routing = process.steps["a"].routing
    assert routing is not None
    assert routing.targets == ("b",)
    assert notes == []
    assert read_yaml(text).data["start"] == ["a", "b"]


def test_steps_without_keys_and_ids_that_differ_from_their_keys() -> None:
    process, notes, _ = convert_array(
        "[['id' => 'a', 'subsystem' => 'set'], ['id' => 'b', 'subsystem' => 'set']]"
    )
    assert (list(process.steps), notes) == (["a", "b"], [])
    process, notes, _ = convert_array("['x' => ['id' => 'a', 'subsystem' => 'set']]")
    assert list(process.steps) == ["a"]
    assert 'key "x" differs from its id' in notes[0]


def test_constants_become_texts_that_still_check() -> None:
    process, notes, _ = convert_array(
        "[Steps::A => ['id' => Steps::A, 'subsystem' => Modules::LOG, 'condition' =>"
        " [['field' => Steps::A . '.value', 'operation' => 'empty', 'result' => [Steps::B]]]]]"
    )
    assert list(process.steps) == ["Steps::A", "Steps::B"]
    assert sum("constant Steps::A, written as text" in note for note in notes) == 3
    assert any('no module has the name "Modules::LOG"' in note for note in notes)


def test_everything_that_is_not_carried_over_is_listed_with_its_place() -> None:
    imported = convert(
        """<?php
boot();
return [
  'a' => ['subsystem' => 'log', 'with' => ['x' => env('X'), 'y' => 1],
    'priority' => ['high', "\\n"],
    'condition' => [['field' => 'request.x', 'operation' => 'empty', 'why' => 1, 'result' => []]],
  ],
  'b' => 'not a step',
];
"""
    )
    assert imported.text is not None
    assert [(note.line, note.column) for note in imported.notes] == [
        (2, 1),
        (4, 51),
        (5, 5),
        (6, 70),
        (8, 10),
    ]
    assert '    # not carried over: priority: [high, "\\n"]\n' in imported.text
    process = process_of(imported.text, name="routes")
    assert list(process.steps) == ["a"]


def test_a_php_array_in_the_form_of_a_process() -> None:
    process, notes, _ = convert_array(
        "['process' => 'other', 'title' => 'T', 'start' => ['b'], 'steps' =>"
        " ['a' => ['module' => 'set'], 'b' => ['module' => 'set', 'next' => 'a']]]"
    )
    assert (process.name, process.title, process.start) == ("routes", "T", ("b",))
    assert notes == []


def test_a_file_that_cannot_be_read_gives_one_error() -> None:
    imported = convert("<?php return f();")
    assert imported.text is None
    assert [(note.severity, note.line, note.column) for note in imported.notes] == [
        ("error", 1, 14)
    ]
    assert convert("<?php return [;").text is None


@pytest.mark.parametrize("name", ["deal-intake", "deal-intake.yaml", "processes/deal-intake.yml"])
def test_the_process_is_named_after_the_output(name: str) -> None:
    imported = convert("<?php return ['a' => ['subsystem' => 'set']];", name)
    assert imported.text is not None
    assert imported.text.startswith("process: deal-intake\n")


def test_a_php_file_can_be_checked_without_converting_it() -> None:
    text = (
        "<?php return ['a' => ['id' => 'a', 'subsystem' => 'set', 'with' => [], 'next' => [],\n"
        " 'condition' => [['field' => 'request.x', 'operation' => 'empty', 'result' => ['b']]]],\n"
        " 'b' => ['subsystem' => 'sett', 'next' => ['c']]];"
    )
    found = lines(check(text, name="routes", format="php").findings)
    assert found == [
        'p.yaml:3:25: no module has the name "sett". Did you mean "set"?',
        'p.yaml:3:44: no step has the id "c"',
    ]
    process = process_of(text.replace("sett", "set").replace("'c'", ""), name="r", format="php")
    assert list(process.steps) == ["a", "b"]
