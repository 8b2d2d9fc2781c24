"""A process file is checked whole: every mistake at once, each with its line and column."""

from __future__ import annotations

import gc
import json

import pytest

from beltline.core.model import RetryPolicy
from tests.unit.definition.shelf import check, lines, process_of

DEAL_INTAKE = """\
process: deal-intake
title: Call from the site to a deal in Bitrix24
start: [bitrix-find-contact]
defaults:
  retry: {attempts: 7, first: 2s, factor: 3, max: 10m}
  timeout: 20s
steps:
  - id: bitrix-find-contact
    module: bitrix24.find-contact
    connection: crm
    with: {phone: "{{ request.phone }}"}
    next: [get-bitrix-deal]
  - id: get-bitrix-deal
    subsystem: bitrix24.find-deal
    connection: crm
    title: Look for a deal
    with: {contact: "{{ bitrix-find-contact.ID }}"}
    prev: [bitrix-find-contact]
    retry: {attempts: 1}
    timeout: 1m30s
    max_visits: 10
    on_error: tell
    condition:
      - field: get-bitrix-deal.value
        operation: empty
        success:
          - field: bitrix-find-contact.ID
            operation: empty
            result: [set-defaults]
      - field: get-bitrix-deal.value
        operation: "!|empty"
        result: [get-deal]
    next: [remember]
  - {id: set-defaults, module: set, next: remember}
  - {id: get-deal, module: set, next: [remember]}
  - {id: remember, module: set, with: {seen: true}}
  - {id: tell, module: log}
output: "{{ remember }}"
"""


def test_a_whole_process() -> None:
    process = process_of(DEAL_INTAKE, name="deal-intake", connections={"crm": "bitrix24"})
    assert (process.name, process.title) == (
        "deal-intake",
        "Call from the site to a deal in Bitrix24",
    )
    assert process.start == ("bitrix-find-contact",)
    assert list(process.steps) == [
        "bitrix-find-contact",
        "get-bitrix-deal",
        "set-defaults",
        "get-deal",
        "remember",
        "tell",
    ]
    first, deal = process.steps["bitrix-find-contact"], process.steps["get-bitrix-deal"]
    assert first.retry == RetryPolicy(7, 2_000, 3.0, 600_000)
    assert first.timeout_ms == 20_000
    assert first.connection == "crm"
    assert deal.module == "bitrix24.find-deal"
    assert (deal.implementation, deal.effect) == ("bitrix24.find-deal@1", "idempotent")
    assert deal.title == "Look for a deal"
    assert deal.retry == RetryPolicy(1, 2_000, 3.0, 600_000)
    assert (deal.timeout_ms, deal.max_visits) == (90_000, 10)
    assert (deal.next, deal.prev, deal.on_error) == (
        ("remember",),
        ("bitrix-find-contact",),
        ("tell",),
    )
    assert deal.routing is not None
    assert deal.routing.targets == ("set-defaults", "get-deal")
    assert not deal.is_join
    assert process.output is not None
    assert process.source_text == DEAL_INTAKE


def test_what_is_not_said_has_its_default() -> None:
    process = process_of("process: p\nsteps:\n  - {id: a, module: set}\n  - {id: b, module: set}\n")
    assert process.start == ("a",)
    step = process.steps["a"]
    assert (step.next, step.prev, step.on_error, step.routing) == ((), (), (), None)
    assert step.retry == RetryPolicy(5, 1_000, 2.0, 300_000)
    assert (step.timeout_ms, step.max_visits, step.connection) == (30_000, 1_000, None)
    assert step.input.is_constant
    assert process.output is None


def test_the_same_process_as_json_has_the_same_steps() -> None:
    steps = [{"id": "a", "module": "set", "next": "b"}, {"id": "b", "module": "set"}]
    text = json.dumps({"process": "p", "steps": steps})
    assert list(process_of(text, format="json").steps) == ["a", "b"]


def test_every_mistake_is_found_at_once() -> None:
    text = """\
process: deal
titel: x
start: [fist, {}]
defaults: {retry: {attempts: 0, frist: 1s}, timeout: 30}
steps:
  - id: first
    module: sett
    with: [1]
    next: [secnd, 5]
    max_visits: 1001
    retry: 3
  - id: second
    module: bitrix24.find-contact
    with: {phone: 5, fax: "{{ request.fax }}"}
    nxt: first
    on_error: nobody
  - id: first
    module: set
    subsystem: set
  - module: set
  - id: request
    connection: crn
    module: set
    timeout: 2 days
    match: any
    condition: {}
  - just text
  - id: 5
    module: true
output: "{{ frst.x }}"
"""
    checked = check(text, name="deal-intake", connections=["crm"])
    assert checked.process is None
    found = lines(checked.findings)
    assert found == sorted(
        found, key=lambda line: tuple(int(part) for part in line.split(":")[1:3])
    )
    expected = [
        (
            'p.yaml:1:10: the process is named "deal", its file "deal-intake". '
            "Write `process: deal-intake`, or rename the file."
        ),
        'p.yaml:2:1: unknown key "titel" in a process. Did you mean "title"?',
        "p.yaml:3:15: start lists step ids, not an object",
        "p.yaml:4:30: attempts must be at least 1",
        'p.yaml:4:33: unknown key "frist" in retry. Did you mean "first"?',
        "p.yaml:4:54: timeout needs a unit. Write 30s for seconds.",
        'p.yaml:7:13: no module has the name "sett". Did you mean "set"?',
        "p.yaml:8:11: with must be an object of keys, not a list",
        "p.yaml:9:19: next lists step ids, not a number",
        "p.yaml:10:17: max_visits must be at most 1,000 (visits_per_step)",
        "p.yaml:11:12: retry must be an object of keys. Write {attempts: 3}.",
        (
            'p.yaml:12:5: module "bitrix24.find-contact" needs a connection of the kind '
            '"bitrix24". Add `connection: NAME`.'
        ),
        "p.yaml:14:19: phone must be a text",
        'p.yaml:14:27: unknown parameter "fax"',
        'p.yaml:15:5: unknown key "nxt" in a step. Did you mean "next"?',
        'p.yaml:16:15: no step has the id "nobody"',
        'p.yaml:17:9: the id "first" is taken by the step on line 6. Give each step its own.',
        (
            "p.yaml:19:5: `subsystem` is another name of `module`; a step has one of them. "
            "Remove one of the two."
        ),
        "p.yaml:20:5: the step has no id. Add `id: NAME`.",
        (
            'p.yaml:21:9: "request" cannot be the id of a step: it names a part of the document. '
            "Reserved are item, meta, parent, request."
        ),
        'p.yaml:22:17: no connection has the name "crn". Did you mean "crm"?',
        (
            "p.yaml:25:12: match can only be `all`. "
            "Leave it out for the first item that gives an outcome."
        ),
        "p.yaml:26:16: condition must be a list of items, not an object",
        "p.yaml:27:5: a step must be an object of keys, not a text",
        'p.yaml:28:9: id must be a text, not a number. Write it in quotes: "5".',
        "p.yaml:29:13: module must be a text, not true or false",
        (
            'p.yaml:30:9: "frst" is neither a step\'s id nor request, meta, item or parent. '
            'Did you mean "first"?'
        ),
    ]
    assert [line for line in expected if line not in found] == []
    assert any(line.startswith("p.yaml:24:14: timeout: ") for line in found)
    assert len(found) == len(expected) + 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[]", "p.yaml:1:1: a process is an object of keys, not a list"),
        ("process: p", "p.yaml:1:1: the process has no steps"),
        ("process: p\nsteps: []", "p.yaml:2:8: the process has no steps"),
        ("process: p\nsteps: {}", "p.yaml:2:8: steps must be a list, not an object"),
        ("steps: [{id: a, module: set}]", "p.yaml:1:1: the process has no name"),
        ("process: 5\nsteps: [{id: a, module: set}]", "p.yaml:1:10: process must be a text"),
        ("process: a/b\nsteps: [{id: a, module: set}]", 'p.yaml:1:10: "a/b" cannot name'),
        ("process: p\nstart: []\nsteps: [{id: a, module: set}]", "p.yaml:2:8: start names no"),
        ("process: p\nstart: b\nsteps: [{id: a, module: set}]", "p.yaml:2:8: no step has the id"),
        ("process: p\nsteps: [{id: a}]", "p.yaml:2:9: the step names no module"),
        ("process: p\nsteps: [{id: 'a`', module: set}]", "p.yaml:2:14: id must not hold"),
        ("process: p\nsteps: [{id: ' a', module: set}]", "p.yaml:2:14: id must not be empty"),
        ("process: p\nsteps: [{id: a, module: set, next: }]", "p.yaml:2:36: next must be a"),
        ("process: p\nsteps: [{id: a, module: set, title: 5}]", "p.yaml:2:37: title must be a"),
        (
            "process: p\nsteps: [{id: a, module: find-deal}]",
            'p.yaml:2:25: no module has the name "find-deal". Did you mean "bitrix24.find-deal"?',
        ),
        (
            "process: p\nsteps: [{id: a, module: set, retry: {first: 1h, max: 1s}}]",
            "p.yaml:2:45: the first wait (3,600,000 ms) is longer than the longest (1,000 ms)",
        ),
        (
            "process: p\nsteps: [{id: a, module: set, retry: {factor: 0.5}}]",
            "p.yaml:2:46: factor must be from 1 to 100",
        ),
        (
            "process: p\nsteps: [{id: a, module: set, timeout: 25h}]",
            "p.yaml:2:39: timeout must be at most 86,400,000 ms (timeout_ms)",
        ),
        (
            "process: p\nsteps: [{id: a, module: set, timeout: 0s}]",
            "p.yaml:2:39: timeout must be longer than nothing",
        ),
        (
            "process: p\nsteps: [{id: a, module: set, with: {x: '{{ b.c }}'}}]",
            'p.yaml:2:40: "b" is neither a step\'s id nor request',
        ),
        (
            (
                "process: p\nsteps:\n  - id: a\n    module: set\n    condition:\n"
                "      - {field: request.x, operation: empty, result: [b]}"
            ),
            'p.yaml:6:55: no step has the id "b"',
        ),
        (
            (
                "process: p\nsteps:\n  - id: a\n    module: set\n    condition:\n"
                "      - {field: b.x, operation: empty, result: [a]}"
            ),
            'p.yaml:6:17: "b" is neither a step\'s id nor request',
        ),
    ],
)
def test_a_mistake_has_its_place(text: str, line: str) -> None:
    checked = check(text)
    assert checked.process is None
    assert [found for found in lines(checked.findings) if found.startswith(line)], checked.findings


def test_a_connection_of_another_kind_is_refused() -> None:
    text = "process: p\nsteps: [{id: a, module: bitrix24.find-deal, connection: mail}]"
    assert check(text, connections={"mail": "smtp"}).process is None
    assert check(text, connections=["mail"]).process is not None
    assert check(text, connections=None).process is not None


def test_a_value_that_the_text_gets_wrong_is_reported_once() -> None:
    checked = check("process: p\nsteps:\n  - {id: a, module: set, title: 012, next: {{ x }}}\n")
    assert [(finding.line, finding.column) for finding in checked.errors] == [(3, 33), (3, 44)]


def test_an_unreadable_text_is_one_finding() -> None:
    checked = check("process: [\n")
    assert checked.process is None
    assert [(finding.line, finding.column) for finding in checked.findings] == [(2, 1)]


def test_parameters_nested_too_deep_are_refused_before_any_module_sees_them() -> None:
    deep = "[" * 3_000 + "]" * 3_000
    checked = check(f"process: p\nsteps: [{{id: a, module: set, with: {{x: {deep}}}}}]\n")
    assert "request_depth" in checked.errors[0].message


@pytest.mark.parametrize("was_enabled", [True, False])
def test_a_check_leaves_the_collector_as_it_was(was_enabled: bool) -> None:
    try:
        (gc.enable if was_enabled else gc.disable)()
        check("process: p\nsteps: [{id: a, module: set}]")
        check("a: [")
        assert gc.isenabled() == was_enabled
    finally:
        gc.enable()


def test_suggestions_stop_before_they_cost_time() -> None:
    """Ten thousand wrong names are answered as quickly as ten thousand right ones."""
    steps = ",\n".join(f"{{id: step-{n}, module: set, next: stap-{n}}}" for n in range(5_000))
    checked = check(f"process: p\nsteps: [{steps}]")
    assert len(checked.errors) == 5_000
    suggested = [finding for finding in checked.errors if "Did you mean" in finding.suggestion]
    assert 0 < len(suggested) <= 20


def test_one_finding_is_printed_as_compilers_do() -> None:
    finding = check("process: p\nsteps: [{id: a, module: sett}]").findings[0]
    assert str(finding) == 'p.yaml:2:25: no module has the name "sett". Did you mean "set"?'
    assert (finding.file, finding.severity) == ("p.yaml", "error")
