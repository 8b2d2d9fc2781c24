"""The keys that only steps of the engine have, as the check of a process sees them."""

from __future__ import annotations

import pytest

from beltline.catalog.catalog import Catalog
from beltline.definition.process import Checked, read_process
from tests.unit.catalog.shipped import SHIPPED
from tests.unit.definition.shelf import lines

CATALOG = Catalog(SHIPPED.values())
HEAD = "process: p\nsteps:\n"


def check(steps: str) -> Checked:
    return read_process(HEAD + steps, name="p", file="p.yaml", modules=CATALOG, connections=None)


def test_a_wait_with_both_of_its_ways_checks() -> None:
    checked = check(
        "  - {id: w, module: wait-event, with: {name: paid, within: 2d}, on_timeout: [late],"
        " next: [on]}\n  - {id: on, module: log, with: {message: a}}\n"
        "  - {id: late, module: log, with: {message: b}}\n"
    )
    assert lines(checked.findings) == []
    assert checked.process is not None
    assert checked.process.steps["w"].on_timeout == ("late",)


def test_parallel_ways_into_a_stop_do_not_stop_it_twice() -> None:
    ways = [f"  - {{id: {id}, module: log, with: {{message: m}}, next: [s]}}\n" for id in "ab"]
    first = "  - {id: f, module: set, with: {}, next: [a, b]}\n"
    (warning,) = check(first + "".join(ways) + "  - {id: s, module: stop, with: {}}\n").findings
    assert warning.message == (
        '"a" and "b", which run in parallel after "f", can both lead to "s", '
        "which ends the run when the first has come"
    )


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        (
            "{id: w, module: wait-event, with: {name: paid, within: 2d}, on_timeout: [lat]}",
            'p.yaml:3:78: no step has the id "lat"',
        ),
        (
            "{id: w, module: wait-event, with: {name: paid}, on_timeout: [late]}",
            "p.yaml:3:53: on_timeout is never reached: the step waits for as long as it takes",
        ),
        (
            "{id: w, module: wait, with: {for: 2d}, on_timeout: [late]}",
            "p.yaml:3:44: on_timeout is for steps that wait for something from outside: approve",
        ),
        (
            "{id: w, module: wait-event, with: {nam: paid}}",
            'p.yaml:3:45: unknown parameter "nam". Did you mean "name"?',
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(step: str, finding: str) -> None:
    checked = check(f"  - {step}\n  - {{id: late, module: log, with: {{message: a}}}}\n")
    assert checked.process is None
    assert any(line.startswith(finding) for line in lines(checked.findings)), checked.findings


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        ('process: a, items: "{{ request.lines }}", concurrency: 0', "concurrency"),
        ("process: a, items: lines", "items"),
        ("process: a", "items"),
    ],
)
def test_a_run_for_each_of_what_is_no_list_is_told(given: str, finding: str) -> None:
    checked = check(f"  - {{id: f, module: for-each, with: {{{given}}}}}\n")
    assert checked.process is None
    (line,) = lines(checked.findings)
    assert finding in line


def test_a_child_may_read_its_item() -> None:
    assert lines(check("  - {id: a, module: set, with: {n: '{{ item.n }}'}}\n").findings) == []


def test_a_step_that_only_undoes_is_reached() -> None:
    checked = check(
        "  - {id: a, module: log, with: {message: a}, undo: u}\n"
        "  - {id: u, module: log, with: {message: '{{ a.message }}'}}\n"
    )
    assert lines(checked.findings) == []
    assert checked.process is not None
    assert checked.process.steps["a"].undo == "u"


@pytest.mark.parametrize(
    ("undo", "finding"),
    [
        ("nowhere", 'no step has the id "nowhere"'),
        ("a", "a step cannot undo itself"),
        ("[u]", "undo"),
    ],
)
def test_an_undo_that_cannot_be_is_told(undo: str, finding: str) -> None:
    checked = check(
        f"  - {{id: a, module: log, with: {{message: a}}, undo: {undo}, next: [u]}}\n"
        "  - {id: u, module: log, with: {message: b}}\n"
    )
    assert checked.process is None
    assert finding in lines(checked.findings)[0]


def test_routes_that_undoing_does_not_follow_are_warned_of() -> None:
    checked = check(
        "  - {id: a, module: log, with: {message: a}, undo: u}\n"
        "  - {id: u, module: log, with: {message: b}, next: [a]}\n"
    )
    (line,) = lines(checked.findings)
    assert '"u" only undoes, and next is not followed then' in line
