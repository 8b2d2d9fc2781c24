"""Which steps can lead to which: what joins need to know, and the checks.

An edge is any way a token may take: `next`, every outcome of a condition, `on_error`, `on_timeout`.
"""

from __future__ import annotations

from collections.abc import Iterable

from beltline.core.model import Process, Step


def successors(step: Step) -> tuple[str, ...]:
    """The steps that a token may go to from `step`, without repetition."""
    targets = step.routing.targets if step.routing is not None else ()
    return tuple(dict.fromkeys((*step.next, *targets, *step.on_error, *step.on_timeout)))


class Reach:
    """For each join, the steps from which a token can still come to it.

    Computed per join on first use, and kept for as long as the process lives.
    """

    def __init__(self, process: Process) -> None:
        predecessors: dict[str, list[str]] = {id: [] for id in process.steps}
        for step in process.steps.values():
            for target in successors(step):
                predecessors[target].append(step.id)
        self._predecessors = predecessors
        self._sources: dict[str, frozenset[str]] = {}

    def sources(self, join: str) -> frozenset[str]:
        """The steps with a way to `join` that does not pass through `join` before its end.

        `join` itself is among them where a loop leads back to it: a visit of it that is under way
        will come again.
        """
        known = self._sources.get(join)
        if known is None:
            known = self._sources[join] = self._search(join)
        return known

    def _search(self, join: str) -> frozenset[str]:
        found: set[str] = set()
        frontier = [join]
        while frontier:
            for source in self._predecessors[frontier.pop()]:
                if source not in found:
                    found.add(source)
                    if source != join:
                        frontier.append(source)
        return frozenset(found)


def reach_of(process: Process) -> Reach:
    """The reach of a process, made once and kept with it."""
    reach = process.__dict__.get("reach")
    if reach is None:
        reach = process.__dict__["reach"] = Reach(process)
    assert isinstance(reach, Reach)
    return reach


def ready_join(process: Process, gathered: Iterable[str], live: Iterable[str]) -> str | None:
    """The join that fires now, or None.

    `gathered` are the joins where tokens wait, `live` the steps of all other tokens (dead letters
    too: a person may mend them). A join fires when no other token can still come to it; if only
    gathering joins are left, the first in file order does.
    """
    waiting = set(gathered)
    if not waiting:
        return None
    standing = set(live)
    in_order = [id for id in process.steps if id in waiting] if len(waiting) > 1 else list(waiting)
    reach = reach_of(process)
    for join in in_order:
        sources = reach.sources(join)
        others = waiting - {join}
        if sources.isdisjoint(standing) and sources.isdisjoint(others):
            return join
    return None if standing else in_order[0]
