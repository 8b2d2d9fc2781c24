"""The warnings about a process as a whole."""

from __future__ import annotations

import pytest

from tests.unit.definition.shelf import check, lines


def warnings_of(*steps: str, start: str = "") -> list[str]:
    """The warnings for steps that are written one to a line, from line 3 on."""
    text = f"process: p\n{start or 'title: t'}\nsteps:\n" + "\n".join(f"  - {s}" for s in steps)
    checked = check(text)
    assert checked.process is not None, lines(checked.findings)
    return [f"{finding.line}:{finding.column}: {finding.message}" for finding in checked.findings]


def step(id: str, rest: str = "") -> str:
    return f"{{id: {id}, module: set{', ' if rest else ''}{rest}}}"


def test_a_step_that_no_route_leads_to() -> None:
    assert warnings_of(step("a", "next: b"), step("b"), step("c", "next: b")) == [
        '6:10: no route leads to the step "c"'
    ]
    assert warnings_of(step("a"), step("b"), start="start: [a, b]") == []
    assert warnings_of(step("a", "on_error: b"), step("b")) == []
    condition = "condition: [{field: request.x, operation: empty, result: [b]}], next: []"
    assert warnings_of(step("a", condition), step("b")) == []


def test_prev_that_disagrees_with_the_routes() -> None:
    assert warnings_of(step("a", "next: b"), step("b", "next: c"), step("c", "prev: [b, a]")) == [
        '6:36: prev names "a", but no route of "a" leads to "c"'
    ]
    assert warnings_of(step("a", "next: b"), step("b", "prev: b")) == [
        '5:32: prev does not name "a", which can lead here',
        '5:32: prev names "b", but no route of "b" leads to "b"',
    ]
    assert warnings_of(step("a", "next: a, prev: []")) == [
        '4:41: prev does not name "a", which can lead here'
    ]
    assert warnings_of(step("a", "next: [b, c]"), step("b"), step("c", "prev: a")) == []


def test_many_steps_missing_from_prev_are_counted() -> None:
    steps = [step(f"s{n}", "next: end") for n in range(6)]
    found = warnings_of(
        *steps, step("end", "prev: [s0, s1]"), start="start: [s0, s1, s2, s3, s4, s5]"
    )
    assert found == ['10:34: prev does not name "s2", "s3", "s4" and 1 more, which can lead here']


def test_reading_a_step_on_a_way_not_taken() -> None:
    choice = "condition: [{field: request.x, operation: empty, result: [b]}], next: c"
    read = "with: {x: '{{ b.x }}', y: ['{{ a.x }}']}"
    assert warnings_of(step("a", choice), step("b", "next: c"), step("c", read)) == [
        '6:36: step "c" reads "b", which may not have finished when "c" starts'
    ]
    assert warnings_of(step("a", "next: b"), step("b", "next: c"), step("c", read)) == []


def test_a_condition_may_read_its_own_step_and_ask_whether_another_is_there() -> None:
    asks = "condition: [{field: b.x, operation: '!|empty', result: [c]}], next: []"
    needs = "condition: [{field: b.x, operation: '=', value: 1, result: [c]}], next: []"
    own = "condition: [{field: a.x, operation: '=', value: 1, result: [c]}], next: []"
    last = [step("c", "next: b"), step("b")]
    assert warnings_of(step("a", own), *last) == []
    assert warnings_of(step("a", asks), *last) == []
    assert warnings_of(step("a", needs), *last) == [
        '4:46: step "a" reads "b", which may not have finished when "a" starts'
    ]


def test_a_step_that_reads_its_own_result() -> None:
    assert warnings_of(step("a", "with: {x: '{{ a.x }}'}, next: a")) == [
        '4:36: step "a" reads its own result, which is not there at first'
    ]


def test_a_join_has_the_results_of_all_branches_that_certainly_arrive() -> None:
    fork = step("a", "next: [b, c]")
    read = "with: {x: '{{ b.x }}', y: '{{ c.x }}', z: '{{ d.x }}'}"
    branches = [step("b", "next: d"), step("d", "next: e"), step("c", "next: e")]
    assert warnings_of(fork, *branches, step("e", "prev: [d, c], next: f"), step("f", read)) == []


def test_a_join_has_nothing_certain_of_branches_by_choice() -> None:
    choice = "condition: [{field: request.x, operation: empty, result: [b]}], next: c"
    read = "prev: [b, c], with: {x: '{{ b.x }}'}"
    found = warnings_of(
        step("a", choice), step("b", "next: d"), step("c", "next: d"), step("d", read)
    )
    assert found == ['7:50: step "d" reads "b", which may not have finished when "d" starts']


def test_a_branch_that_may_fail_over_is_not_certain() -> None:
    read = step("d", "with: {x: '{{ b.x }}'}")
    assert warnings_of(step("a", "next: b, on_error: d"), step("b", "next: d"), read) == [
        '6:36: step "d" reads "b", which may not have finished when "d" starts'
    ]


def test_parallel_ways_into_a_step_that_is_no_join() -> None:
    fork = step("a", "next: [b, c]")
    ways = [step("b", "next: d"), step("c", "next: d")]
    assert warnings_of(fork, *ways, step("d", "next: e"), step("e")) == [
        (
            '7:10: "b" and "c", which run in parallel after "a", can both lead to "d", '
            "which then runs once for each"
        )
    ]
    assert warnings_of(fork, *ways, step("d", "prev: [b, c], next: e"), step("e")) == []
    assert warnings_of(
        step("b", "next: d"), step("c", "next: d"), step("d"), start="start: [b, c]"
    ) == [
        (
            '6:10: "b" and "c", which run in parallel after start, can both lead to "d", '
            "which then runs once for each"
        )
    ]


def test_a_fork_that_leads_to_a_step_directly_and_through_another() -> None:
    assert warnings_of(step("a", "next: [b, c]"), step("b", "next: c"), step("c")) == [
        (
            '6:10: "b" and "c", which run in parallel after "a", can both lead to "c", '
            "which then runs once for each"
        )
    ]


def test_ways_by_choice_are_not_parallel() -> None:
    choice = "condition: [{field: request.x, operation: empty, result: [b]}], next: c"
    assert (
        warnings_of(
            step("a", choice), step("b", "next: d"), step("c", "next: d"), step("d", "next: a")
        )
        == []
    )


def test_a_meeting_behind_a_choice_is_found_where_it_happens() -> None:
    choice = "condition: [{field: request.x, operation: empty, result: [b, c]}], next: d"
    found = warnings_of(
        step("a", choice), step("b", "next: d"), step("c", "next: d"), step("d", "next: e"),
        step("e"),
    )  # fmt: skip
    assert [line.split(":")[0] for line in found] == ["7"]


@pytest.mark.parametrize("order", ["b, c", "c, b"])
def test_behind_a_join_its_token_is_another_than_those_of_its_branches(order: str) -> None:
    """The branch of b may go past the join d, which then fires for c alone."""
    past = "condition: [{field: request.x, operation: empty, result: [e]}], next: d"
    found = warnings_of(
        step("a", f"next: [{order}]"), step("b", past), step("c", "next: d"),
        step("d", "prev: [b, c], next: e"), step("e"),
    )  # fmt: skip
    assert [line.split(":")[0] for line in found] == ["8"]


@pytest.mark.parametrize(("ends", "arrives"), [("c", "d"), ("d", "c")])
def test_of_two_outcomes_only_what_both_give_is_certain(ends: str, arrives: str) -> None:
    outcomes = "condition: [{field: request.x, operation: empty, result: [b, c]}], next: [b, d]"
    found = warnings_of(
        step("a", outcomes), step("b", "next: e"), step(ends), step(arrives, "next: e"),
        step("e", f"prev: [b, {arrives}], with: {{x: '{{{{ {arrives}.x }}}}'}}"),
    )  # fmt: skip
    assert [line for line in found if f'reads "{arrives}"' in line]
    assert not [line for line in found if 'reads "a"' in line]


def test_joins_that_wait_for_each_other_promise_nothing() -> None:
    """With only d and e left gathering, d fires although b's way through e is not done."""
    knot = [step("d", "prev: [b, e], next: e"), step("e", "prev: [c, d], next: d")]
    found = warnings_of(
        step("a", "next: [b, c]"), step("b", "next: d"), step("c", "next: e"), *knot
    )
    assert found == []
    reads = step("d", "prev: [b, e], next: e, with: {x: '{{ c.x }}'}")
    found = warnings_of(
        step("a", "next: [b, c]"), step("b", "next: d"), step("c", "next: e"), reads, knot[1]
    )
    assert len(found) == 1
    assert 'reads "c"' in found[0]


def test_a_condition_that_leaves_a_gap() -> None:
    first = "{field: request.x, operation: empty, result: [b]}"
    rest = "{field: request.x, operation: '!|empty', result: [b]}"
    assert warnings_of(step("a", f"condition: [{first}]"), step("b")) == [
        "4:26: the condition leaves a gap: where no item gives an outcome, the branch ends here"
    ]
    assert warnings_of(step("a", f"condition: [{first}], next: []"), step("b")) == []
    assert warnings_of(step("a", f"condition: [{first}, {rest}]"), step("b")) == []


def test_a_condition_that_can_never_be_reached() -> None:
    always = "{field: request.x, operation: empty, result: [b], failure: [b]}"
    never = "{field: request.y, operation: empty, result: [b]}"
    found = warnings_of(step("a", f"condition: [{always}, {never}]"), step("b"))
    assert [line.split(": ")[0] for line in found] == ["4:103"]


def test_warnings_wait_until_all_routes_are_known() -> None:
    text = "process: p\nsteps:\n  - {id: a, module: set, next: x}\n  - {id: b, module: set}\n"
    assert [finding.severity for finding in check(text).findings] == ["error"]
    text = "process: p\nsteps:\n  - {id: a, module: sett}\n  - {id: b, module: set}\n"
    assert [finding.severity for finding in check(text).findings] == ["error", "warning"]


def test_too_many_parallel_ways_are_said_to_be_unexamined() -> None:
    """Forks whose branches go on side by side cost most; the check ends, and says so."""
    count = 1_000
    side = [step(f"a{n}", f"next: [a{n + 1}, c0]") for n in range(count)]
    other = [step(f"c{n}", f"next: c{n + 1}") for n in range(count)]
    found = warnings_of(*side, step(f"a{count}"), *other, step(f"c{count}"))
    assert len(found) == 2
    assert "which then runs once for each" in found[1]
    assert "too many parallel ways" in found[0]
