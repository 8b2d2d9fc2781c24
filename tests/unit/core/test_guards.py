"""Guards: no size in the data makes an expression take time or memory without end."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from beltline.core.expression import ExpressionFailed, Scope, compile_expression
from beltline.core.guards import BOUND_SEQUENCE, CROSSED_SEQUENCE
from beltline.core.limits import LIMITS

SCOPE = Scope(now_ms=1_700_000_000_000, run="r-1", seq=3)


def give(source: str, document: dict[str, Any]) -> Any:
    return compile_expression(source, ()).evaluate(document, SCOPE)


def failure(source: str, document: dict[str, Any]) -> str:
    with pytest.raises(ExpressionFailed) as caught:
        give(source, document)
    return str(caught.value)


LONG = "x" * 1_000_000
MANY = list(range(100_000))
CROSSED = list(range(CROSSED_SEQUENCE))
LONGEST_S = 3  # of CPU; the time limit of the library, and what one call of a function may add


@pytest.mark.parametrize(
    ("source", "document", "reason"),
    [
        ("$pad(t, n)", {"t": "a", "n": 10**9}, "expression_result_bytes"),
        ("$pad(t, n)", {"t": "a", "n": -(10**9)}, "expression_result_bytes"),
        ("$pad(t, 1000000, t)", {"t": "a" * 100_000}, "expression_result_bytes"),
        ("t.$pad($$.n)", {"t": "a", "n": 10**9}, "expression_result_bytes"),
        ("$join(a, s)", {"a": ["x"] * 100_000, "s": "y" * 100_000}, "expression_result_bytes"),
        ("a ~> $join(s)", {"a": ["x"] * 100_000, "s": "y" * 100_000}, "expression_result_bytes"),
        ("$replace(t, s, t)", {"t": LONG, "s": "x"}, "expression_result_bytes"),
        ("$replace(t, /x/, t)", {"t": LONG}, "expression_result_bytes"),
        ("$replace(t, /x+/, r)", {"t": LONG, "r": "$0" * 1_000}, "expression_result_bytes"),
        ("$replace(t, /x/, function($m) { u })", {"t": "x" * 60_000, "u": "u" * 60_000}, "limit"),
        ("$split(t, s)", {"t": LONG, "s": ""}, "parts"),
        ("$match(t, /x/)", {"t": LONG}, "matches"),
        ("$match(t, /x/, n)", {"t": LONG, "n": 10**6}, "matches"),
        ("$distinct(a)", {"a": MANY}, "$distinct"),
        ("[1..n]", {"n": 10**6}, "expression_sequence"),
        ("[1..n]", {"n": 10**15}, "too many elements"),
        ("$count([a..b])", {"a": -(10**9), "b": 10**9}, "too many elements"),
        ("$formatNumber(1, p)", {"p": "0" * LIMITS.request_body_bytes}, "$formatNumber"),
        ("$formatInteger(1, p)", {"p": "0" * 1_000}, "$formatInteger"),
        ("$formatInteger(n, 'I')", {"n": 10**15}, "roman"),
        ("$formatInteger(n, p)", {"n": 10**15, "p": "i"}, "roman"),
        ("$parseInteger(t, '#0')", {"t": "9" * 1_000_000}, "$parseInteger"),
        ("$fromMillis(n, p)", {"n": 1, "p": "[Y]" * 100_000}, "$fromMillis"),
        ("$fromMillis(n, p)", {"n": 1, "p": "[Y,1000000]"}, "width"),
        ("$fromMillis(n, p)", {"n": 1, "p": "[Y,*-1000000000]"}, "width"),
        ("$fromMillis(n)", {"n": 1e300}, "timestamp"),
        ("$now(p)", {"p": "[Y,1000000]"}, "width"),
        ("$toMillis(t, p)", {"t": "1" * 100_000, "p": "[Y]"}, "$toMillis"),
        ("$toMillis('1', p)", {"p": "[Y]" * 100_000}, "$toMillis"),
        ("$power(10, n)", {"n": 400}, "power"),
        ("$base64encode(t)", {"t": LONG}, "expression_result_bytes"),
        ("$encodeUrlComponent(t)", {"t": "%" * 1_000_000}, "expression_result_bytes"),
        ("$uppercase(t) & t", {"t": LONG}, "expression_result_bytes"),
        ("items.$$.items", {"items": MANY}, "elements"),
        ("$count(items.$$.items)", {"items": CROSSED}, "expression_sequence"),
        ('items.{"a": $$.items}', {"items": CROSSED}, "limit|larger"),
        ('$string(items.{"a": $$.items})', {"items": CROSSED}, "limit|larger"),
        ("$map(items, function($x) { $$.t })", {"items": CROSSED, "t": LONG}, "elements"),
        ("items@$i.items@$j[$i = $j]", {"items": CROSSED}, f"at most {BOUND_SEQUENCE}"),
        ("items#$i.$$.items", {"items": MANY}, "elements"),
        ("items.%.items", {"items": MANY}, "elements"),
        ("$map(items, $append)", {"items": MANY}, "elements"),
        ('$reduce(items, function($a, $x) { $a & $a }, "ab")', {"items": MANY[:60]}, "limit"),
        (
            "$reduce(items, function($a, $x) { $append($a, $a) }, [1])",
            {"items": MANY[:60]},
            "limit",
        ),
        (
            '$reduce(items, function($a, $x) { {"l": $a, "r": $a} }, 1)',
            {"items": MANY[:60]},
            "limit",
        ),
        (
            "$reduce(items, function($a, $x) { [[$a], [$a]] }, 1)",
            {"items": MANY[:40]},
            "limit|larger",
        ),
        (
            "($f := function($n) { $n = 0 ? 0 : 1 + $f($n - 1) }; $f(n))",
            {"n": 10**6},
            "expression_stack",
        ),
        ("items[$ in $$.items]", {"items": MANY}, "expression_time_ms"),
        ("**.**.**", {"a": [{"b": [{"c": [1] * 10}] * 10}] * 100}, "limit|elements"),
    ],
)
def test_sizes_from_the_data_are_bounded(
    source: str, document: dict[str, Any], reason: str
) -> None:
    before = time.process_time()
    message = failure(source, document)
    assert time.process_time() - before < LONGEST_S
    # On a machine that is busy with other things the time may run out before the bound is met.
    assert any(part in message for part in (*reason.split("|"), "expression_time_ms")), message


@pytest.mark.parametrize(
    ("source", "document"),
    [
        ("$contains(t, /(x+x+)+y/)", {"t": LONG}),
        ("$match(t, /(x*)*y/)", {"t": LONG}),
        ('$replace(t, /(.*?)(.*?)(.*?)y/, "$1")', {"t": "x" * 100_000}),
        ("$sort(a)", {"a": MANY[::-1]}),
        ("$sum(a)", {"a": MANY}),
        ("$count($zip(a, a))", {"a": MANY}),
        ("$merge(a.{$string(n): n})", {"a": [{"n": n} for n in range(10_000)]}),
        ("a{k: $sum(n)}", {"a": [{"k": str(n), "n": n} for n in range(10_000)]}),
        ('$count($split(t, "x"))', {"t": LONG[:90_000]}),
        ("$length($join(a))", {"a": ["x"] * 90_000}),
        ("$formatBase(n, 2)", {"n": 1e300}),
        ("$substring(t, n, m)", {"t": LONG, "n": -1e300, "m": 10}),
        ("$map(a, function($x) { $x.n & $$.s })", {"a": [{"n": "x"}] * CROSSED_SEQUENCE, "s": "y"}),
        ('a.{"n": n, "s": $$.s}', {"a": [{"n": "x"}] * CROSSED_SEQUENCE, "s": "y"}),
    ],
)
def test_honest_work_on_large_data_is_done(source: str, document: dict[str, Any]) -> None:
    assert give(source, document) is not None


def test_sizes_from_the_data_are_bounded_in_memory_too() -> None:
    """The same cases in a process that may take 1.2 GB: the library aborts where it gets none."""
    program = (
        "import resource, sys, pytest;"
        "resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000));"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k',"
        f" 'data_are_bounded and not memory or honest_work', {__file__!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout


def test_a_deep_value_passes_through_an_expression_that_measures_it() -> None:
    value: Any = 1
    for level in range(LIMITS.request_depth):
        value = [value, level] if level % 2 else {"a": value}
    assert give("($x := a; $x)", {"a": value}) == value
