"""`respond`: the answer for the sender of the request, if it waits (`Prefer: wait`).

The first answer of a run counts. It stands in the journal, so a sender hears it whichever node
moved the run; whoever asked without waiting was told 202 long before.
"""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import size_of
from beltline.core.events import AnswerGiven, AnswerIgnored
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.turn import Turn


def begin(turn: Turn, step: Step, visit: int, attempt: int, value: Any) -> None:
    """Gives the answer, or notes that there was one already."""
    if turn.answered:
        turn.events.append(AnswerIgnored(step.id, visit, "the sender has its answer already"))
        turn.finish(step, visit, attempt, {"answered": False})
        return
    wrong = trouble(value)
    if wrong:
        turn.refuse(step, visit, attempt, wrong)
        return
    turn.answered = True
    status, headers, body = value.get("status", 200), value.get("headers", {}), value.get("body")
    turn.events.append(AnswerGiven(step.id, visit, status, headers, body))
    turn.finish(step, visit, attempt, {"answered": True})


def trouble(value: Any) -> str:
    """Why these parameters make no answer; empty where they do."""
    if not isinstance(value, dict):
        return "respond takes `status`, `headers` and `body`"
    status = value.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        return f"status is a whole number from 200 to 599, not {str(status)[:50]!r}"
    headers = value.get("headers", {})
    if not isinstance(headers, dict):
        return "headers is an object of texts"
    for name, text in headers.items():
        if not isinstance(text, str) or not text.isprintable() or not text.isascii():
            return f"the header {name[:100]!r} is a text of printable ASCII characters"
    size = size_of(value)
    if size > LIMITS.answer_bytes:
        return f"the answer takes {size:,} bytes (limit answer_bytes, {LIMITS.answer_bytes:,})"
    return ""
