"""The part of the store about limits: the buckets that all nodes draw from."""

from __future__ import annotations

from typing import Any

from beltline.engine.limit_store import Ask, Drawn, Rule

DRAW = "SELECT * FROM beltline.draw_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


class LimitCalls:
    """Fulfils `engine.limit_store.LimitStore`; whoever inherits it asks the database."""

    def _member(self) -> int:
        raise NotImplementedError

    async def _change(self, statement: str, *arguments: Any) -> list[Any]:
        raise NotImplementedError

    async def draw(self, rule: Rule, ask: Ask) -> Drawn:
        limits = (rule.name, rule.rate_per_s, rule.burst, rule.concurrency)
        has = (ask.serial, ask.held, ask.calls, ask.spent, list(ask.costs))
        rows = await self._change(DRAW, self._member(), *limits, *has)
        return Drawn(*rows[0])
