"""Large and deep processes: through every format, within their limits, in linear time.

Processor times are compared within one run: ten times the steps may cost twenty-five times as
much. The margin is for the processor's caches (measured: eleven times) and for other work on the
machine; a quadratic check would take a hundred times as long.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import pytest

from beltline.definition.importing import import_php
from beltline.definition.reading import Format
from beltline.definition.yaml_writer import block
from tests.unit.definition.shelf import SHELF, check, lines, nested_condition, process_of

LEAF = {"field": "request.x", "operation": "empty", "result": ["b"]}
TEN_TIMES_MAY_COST = 25


def deep(levels: int) -> dict[str, object]:
    steps = [
        {"id": "a", "module": "set", "condition": nested_condition(levels, LEAF)},
        {"id": "b", "module": "set"},
    ]
    return {"process": "p", "steps": steps}


def php_of(levels: int) -> str:
    opening = "['field' => 'request.x', 'operation' => 'exists', 'success' => array("
    leaf = "['field' => 'request.x', 'operation' => 'exists', 'result' => ['b']]"
    condition = opening * (levels - 1) + leaf + ")]" * (levels - 1)
    return (
        "<?php return ['a' => ['id' => 'a', 'subsystem' => 'set', 'prev' => [],\n"
        f"'condition' => [{condition}]], 'b' => ['subsystem' => 'set', 'prev' => ['a']]];"
    )


def quoted_flow(levels: int) -> str:
    """The deep process in JSON, which is flow style with every text in quotes."""
    opening = '{"field": "request.x", "operation": "exists", "success": ['
    leaf = '{"field": "request.x", "operation": "empty", "result": ["b"]}'
    condition = opening * (levels - 1) + leaf + "]}" * (levels - 1)
    return (
        '{"process": "p", "steps": [{"id": "a", "module": "set",\n"condition": ['
        + condition
        + ']}, {"id": "b", "module": "set"}]}'
    )


def text_of(format: Format, levels: int) -> str:
    if format == "yaml":
        return "\n".join(block(deep(levels)))
    return quoted_flow(levels) if format == "json" else php_of(levels)


@pytest.mark.parametrize("format", ["yaml", "json", "php"])
def test_a_thousand_condition_levels_check(format: Format) -> None:
    process = process_of(text_of(format, 1_000), name="p", format=format)
    routing = process.steps["a"].routing
    assert routing is not None
    assert routing.targets == ("b",)


@pytest.mark.parametrize("format", ["yaml", "json", "php"])
def test_one_level_more_is_refused_with_its_place(format: Format) -> None:
    text = text_of(format, 1_001)
    checked = check(text, name="p", format=format)
    assert checked.process is None
    assert len(checked.errors) == 1
    finding = checked.errors[0]
    assert "condition_levels" in finding.message
    row = text.split("\n")[finding.line - 1]
    # The list of the last level, whose only item gives the result.
    opened = row[finding.column - 1 :]
    assert opened.startswith(("[", "array("))
    assert opened.count("success") == 0
    assert opened.count("result") == 1
    assert row[: finding.column - 1].rstrip(" :=>\"'").endswith("success")


def test_a_thousand_levels_import_from_php_and_check() -> None:
    imported = import_php(php_of(1_000), file="deep.php", output_name="deep.yaml", modules=SHELF)
    assert imported.notes == []
    assert imported.text is not None
    assert process_of(imported.text, name="deep").steps["a"].routing is not None


def chain(count: int) -> list[str]:
    return [f"next: [s{n + 1}], with: {{x: '{{{{ s{n // 2}.a }}}}'}}" for n in range(count)]


def fan(count: int) -> list[str]:
    """Every hundredth step leads to the 99 behind it, and they to the next such step."""
    width = 100
    return [
        f"next: [{', '.join(f's{m}' for m in range(n + 1, min(n + width, count)))}]"
        if n % width == 0
        else f"next: [s{min((n // width + 1) * width, count)}]"
        for n in range(count)
    ]


def random_routes(count: int) -> list[str]:
    chance = random.Random(7)
    return [
        f"next: [s{chance.randrange(count)}, s{chance.randrange(count)}], "
        f"condition: [{{field: s{chance.randrange(count)}.x, operation: '=', value: 1, "
        f"result: [s{chance.randrange(count)}]}}]"
        for _ in range(count)
    ]


def diamonds(count: int) -> list[str]:
    """Forks that join, one after the other, with reads across them."""
    steps = []
    for n in range(0, count - 3, 4):
        steps += [
            f"next: [s{n + 1}, s{n + 2}]",
            f"next: s{n + 3}",
            f"next: s{n + 3}",
            f"prev: [s{n + 1}, s{n + 2}], next: s{n + 4}, with: {{x: '{{{{ s{n + 1}.a }}}}'}}",
        ]
    return steps + [f"next: s{count}"] * (count - len(steps))


def process_text(routes: list[str]) -> str:
    last = f"  - {{id: s{len(routes)}, module: set}}"
    rows = [f"  - {{id: s{n}, module: set, {rest}}}" for n, rest in enumerate(routes)]
    return "\n".join(["process: p", "steps:", *rows, last])


def seconds_to_check(text: str) -> float:
    begun = time.thread_time()
    checked = check(text)
    assert checked.process is not None, lines(checked.errors)[:3]
    return time.thread_time() - begun


@pytest.mark.parametrize("shape", [chain, fan, diamonds, random_routes])
def test_ten_times_the_steps_cost_at_most_twenty_five_times(
    shape: Callable[[int], list[str]], record_property: Callable[[str, object], None]
) -> None:
    small, large = process_text(shape(999)), process_text(shape(9_999))
    few = min(seconds_to_check(small) for _ in range(5))
    many = min(seconds_to_check(large) for _ in range(2))
    print(f"{shape.__name__}: 1,000 steps {few:.3f} s, 10,000 steps {many:.3f} s")  # noqa: T201
    record_property("seconds_for_10000_steps", many)
    assert many < few * TEN_TIMES_MAY_COST


def test_ten_thousand_steps_and_one_more() -> None:
    assert len(process_of(process_text(chain(9_999))).steps) == 10_000
    checked = check(process_text(chain(10_000)))
    assert [(finding.line, finding.column) for finding in checked.errors] == [(10_003, 5)]
    assert "process_steps" in checked.errors[0].message


def test_diamonds_leave_no_doubt() -> None:
    assert check(process_text(diamonds(400))).findings == []


@pytest.mark.parametrize("format", ["json", "php"])
def test_ten_thousand_steps_in_other_formats(format: Format) -> None:
    steps = [
        {"id": f"s{n}", "module": "set", "with": {"n": n}, "next": [f"s{n + 1}"]}
        for n in range(9_999)
    ]
    steps.append({"id": "s9999", "module": "set"})
    if format == "json":
        text = json.dumps({"process": "p", "steps": steps})
    else:
        rows = [
            f"'s{n}' => ['id' => 's{n}', 'subsystem' => 'set', 'next' => ['s{n + 1}']],"
            for n in range(9_999)
        ]
        text = f"<?php return [{''.join(rows)} 's9999' => ['subsystem' => 'set']];"
    process = process_of(text, name="p", format=format)
    assert len(process.steps) == 10_000
