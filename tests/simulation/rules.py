"""How calls of the simulated processes go out: one connection with limits, and a breaker."""

from __future__ import annotations

from beltline.core.model import Step
from beltline.engine.call_rules import CallRule
from beltline.engine.limit_store import Rule
from tests.simulation.options import Options


class SimulatedRules:
    """Fulfils `engine.call_rules.CallRules` by the options of a seed."""

    def __init__(self, options: Options) -> None:
        limits: tuple[Rule, ...] = ()
        if options.rate_per_s or options.concurrency:
            rate, most = options.rate_per_s or None, options.concurrency or None
            limits = (Rule("connection crm", rate, options.burst, most),)
        batch = "work" if options.together > 1 else ""
        self._rule = CallRule(
            "connection crm", limits, batch=batch, batch_most=options.together, has_breaker=True
        )

    def of(self, step: Step) -> CallRule | None:
        """The one rule, for steps with a connection."""
        return None if step.connection is None else self._rule
