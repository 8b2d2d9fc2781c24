"""What the files of all feeds share: how often they look, and values over what they see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Report
from beltline.definition.shape import read_duration_ms

EVERY_LEAST_MS = 1_000


def read_every(report: Report, data: dict[str, Any]) -> int | None:
    """`every`, in milliseconds; None where it is missing or wrong, which is reported."""
    if "every" not in data:
        report.error((), "the source does not say how often it looks", "Add `every: 1m`.")
        return None
    every_ms = read_duration_ms(
        report, data["every"], ("every",), "every", most_ms=LIMITS.wait_ms, limit="wait_ms"
    )
    if every_ms is not None and every_ms < EVERY_LEAST_MS:
        report.error(("every",), "every must be at least 1s")
        return None
    return every_ms


def read_value(report: Report, value: Any, at: Place, roots: Collection[str]) -> Template | None:
    """Any JSON with expressions over `roots` in its texts; None where an expression is wrong, which
    is reported.
    """
    errors = report.errors
    template, problems = compile_value(value, frozenset(), at)
    report.take(problems)
    for root in sorted((template.roots or frozenset()) - frozenset(roots)):
        report.error(
            at,
            f'"{root[:100]}" is not known here',
            f"A path starts with {' or '.join(sorted(roots))}.",
        )
    return None if report.errors > errors else template


def read_expression(
    report: Report, value: Any, at: Place, what: str, roots: Collection[str]
) -> Template | None:
    """A text with an expression over `roots`; a constant is an error."""
    template = read_value(report, value, at, roots)
    if template is not None and template.is_constant:
        written = value if isinstance(value, str) else "PATH"
        report.error(
            at, f"{what} must be an expression", f'Write it like "{{{{ {written[:100]} }}}}".'
        )
        return None
    return template
