"""What the dispatcher must know of a step before it lets its calls out."""

from __future__ import annotations

from typing import Protocol

import msgspec

from beltline.core.model import Step
from beltline.engine.limit_store import Rule


class CallRule(msgspec.Struct, frozen=True):
    """How calls of a step go out.

    They wait in the line of this name: that of their connection, or of their module. All `limits`
    count them. A call makes at most so many `requests`. Calls of the same `batch` go together, up
    to `batch_most`, as one request (empty: alone). With a `has_breaker`, failures to reach the
    connection are an outage and no failures of the step.
    """

    line: str
    limits: tuple[Rule, ...] = ()
    requests: int = 1
    batch: str = ""
    batch_most: int = 1
    has_breaker: bool = False


class CallRules(Protocol):
    """The rules of all steps."""

    def of(self, step: Step) -> CallRule | None:
        """The rule for a step's calls; None where they go straight through."""
        ...


class NoRules:
    """No limits and no connections."""

    def of(self, step: Step) -> CallRule | None:  # noqa: ARG002 - every step is the same
        """Nothing holds calls back."""
        return None
