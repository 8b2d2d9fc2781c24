"""Values that a source's file takes from each request: its identity, its key, its priority."""

from __future__ import annotations

from typing import Any

from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Report
from beltline.definition.shape import read_text

ROOTS = frozenset(("request", "meta"))  # what there is when a request is accepted


def read_request_value(report: Report, value: Any, at: Place, what: str) -> Template | None:
    """An expression over `request` and `meta`; None where it is none, which is reported."""
    text = read_text(report, value, at, what)
    if text is None:
        return None
    template, problems = compile_value(text, frozenset(), at)
    report.take(problems)
    if template.is_constant and not problems:
        report.error(at, "this is the same for every request", f'Write "{{{{ {text} }}}}".')
    for root in sorted((template.roots or frozenset()) - ROOTS):
        report.error(
            at,
            f'"{root[:100]}" is not known when a request is accepted',
            "A path starts with request or meta here.",
        )
    return template
