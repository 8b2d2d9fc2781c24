"""Which limits a step's calls keep to: those of its connection, and those of its module."""

from __future__ import annotations

import math
from collections.abc import Mapping

from beltline.catalog.catalog import Binding, Catalog, LimitSettings
from beltline.core.model import Step
from beltline.definition.connection import ConnectionFile, rate_per_s
from beltline.engine.call_rules import CallRule
from beltline.engine.limit_store import Quota, Rule


class HubRules:
    """Fulfils `engine.call_rules.CallRules` for a home. A step of a module whose name has limits in
    `beltline.toml` keeps to them, whether it uses that name or another one for the same module.
    """

    def __init__(
        self,
        catalog: Catalog,
        connections: Mapping[str, ConnectionFile],
        bindings: Mapping[str, Binding],
    ) -> None:
        self._catalog = catalog
        self._connections = connections
        self._modules = {
            name: rule
            for name, binding in bindings.items()
            if (rule := module_rule(name, binding.limits)) is not None
        }
        self._known: dict[tuple[str | None, str, str], CallRule | None] = {}

    def of(self, step: Step) -> CallRule | None:
        """The rule for a step's calls; None where nothing holds them back."""
        if step.connection is None and not self._modules:
            return None
        place = (step.connection, step.module, step.implementation)
        if place not in self._known:
            self._known[place] = self._find(step)
        return self._known[place]

    def _find(self, step: Step) -> CallRule | None:
        names = (step.module.partition("@")[0], step.implementation.partition("@")[0])
        of_module = next((self._modules[name] for name in names if name in self._modules), None)
        file = self._connections.get(step.connection) if step.connection is not None else None
        of_connection = connection_rule(file) if file is not None else None
        limits = tuple(rule for rule in (of_module, of_connection) if rule is not None)
        if file is None:
            return CallRule(limits[0].name, limits) if limits else None
        has_breaker = file.outage == "wait"
        if not limits and not has_breaker:
            return None
        # A worker that is away is not the connection: the other modules of it are called.
        is_worker = step.transport != "event"
        line = f"worker of {names[0]}" if is_worker else line_of(file.name)
        invocation = self._catalog.invocation(step.implementation)
        if invocation is None:
            return CallRule(line, limits, has_breaker=has_breaker)
        module, most = invocation.module, file.limits.batch
        is_alone = is_worker or module.batch is None  # a worker takes one call at a time
        together = 1 if is_alone else min(module.batch_most, most or module.batch_most)
        batch = f"{module.pinned} {file.name}" if together > 1 else ""
        return CallRule(line, limits, module.requests, batch, together, has_breaker)


def line_of(connection: str) -> str:
    """The name of a connection's line, and of its limits."""
    return f"connection {connection}"


def connection_rule(file: ConnectionFile) -> Rule | None:
    """The limits of a connection; None where it has none. A rate without a burst has that of one
    second.
    """
    limits = file.limits
    if limits.rate_per_s is limits.concurrency is limits.quota is None:
        return None
    quota = None if limits.quota is None else Quota(limits.quota, limits.timezone)
    burst = limits.burst or _burst(limits.rate_per_s)
    return Rule(line_of(file.name), limits.rate_per_s, burst, limits.concurrency, quota)


def module_rule(name: str, limits: LimitSettings) -> Rule | None:
    """The limits of a module; None where it has none."""
    rate = None if limits.rate is None else rate_per_s(limits.rate)
    if rate is None and limits.concurrency is None:
        return None
    burst = limits.burst or _burst(rate)
    return Rule(f"module {name}", rate, burst, limits.concurrency)


def _burst(rate: float | None) -> int:
    return max(1, math.ceil(rate or 0))
