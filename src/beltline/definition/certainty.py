"""Which steps have certainly finished when a step starts.

For each step two sets are kept: the steps that have *finished*, and those that have been *given a
token*, on every way that leads to the step. Along a route both grow: by the step left, and by all
steps that got their tokens together with this one. Where routes meet, only what all of them hold
is certain. At a join more is: it waits for every token that can still reach it, so a step that was
certainly given a token, and from which the join can be reached, has finished when the join fires.
"""

from __future__ import annotations

from beltline.definition.ways import Group, Ways, bits_of, components


def finished_before(ways: Ways) -> list[int]:
    """Per step, the set of steps (as bits) that have certainly finished when it starts.

    The greatest sets that agree with each other along all routes; found by going round in
    topological order until nothing changes, which is once or twice where loops are not tangled.
    A step that cannot be reached has all steps.
    """
    count = len(ways.exits)
    everything = (1 << count) - 1
    finished = [everything] * count
    given = [everything] * count
    arrivals = _arrivals(ways)
    waits_for = _waits_for(ways)
    spawned = [_mask(out.next) if out.is_fixed else 0 for out in ways.exits]
    at_start = set(ways.start)
    start_mask = _mask(ways.start)
    changed = True
    while changed:
        changed = False
        for step in ways.order:
            done, started = everything, everything
            if step in at_start:
                done, started = 0, start_mask
            for source, together in arrivals[step]:
                done &= finished[source] | 1 << source
                started &= given[source] | 1 << source | together
            if step in waits_for:
                fresh = started & waits_for[step] & ~done
                while fresh:
                    for other in bits_of(fresh):
                        done |= finished[other] | 1 << other
                        started |= given[other] | spawned[other]
                    fresh = started & waits_for[step] & ~done
            if done != finished[step] or started != given[step]:
                finished[step], given[step] = done, started
                changed = True
    return finished


def _arrivals(ways: Ways) -> list[list[tuple[int, int]]]:
    """Per step, each predecessor with the steps that get their tokens together with this one."""
    arrivals: list[list[tuple[int, int]]] = [[] for _ in ways.exits]
    for source in ways.order:
        together: dict[int, int] = {}
        for group in ways.exits[source].groups:
            mask = _mask(group)
            for target in group:
                together[target] = together.get(target, mask) & mask
        for target, mask in together.items():
            arrivals[target].append((source, mask))
    return arrivals


def _waits_for(ways: Ways) -> dict[int, int]:
    """Per join, the steps that can lead to it and that it cannot lead back to.

    Joins of one loop may wait for each other; then the first in file order fires, whatever it
    still waited for. So nothing is promised for a join that such a knot can lead to.
    """
    joins = ways.joins.intersection(ways.order)
    if not joins:
        return {}
    component_of: dict[int, int] = {}
    groups = components(ways.successors, ways.order)
    for index, members in enumerate(groups):
        for member in members:
            component_of[member] = index
    before = [0] * len(groups)
    is_behind_knot = [False] * len(groups)
    waits_for = {}
    for index, members in enumerate(groups):
        # The component itself may be among them, and has nothing before it yet.
        sources = {
            component_of[source] for member in members for source in ways.predecessors[member]
        }
        mask = 0
        for source in sources:
            mask |= before[source]
        joins_here = [member for member in members if member in joins]
        is_behind_knot[index] = len(joins_here) > 1 or any(
            is_behind_knot[source] for source in sources
        )
        if not is_behind_knot[index]:
            waits_for.update(dict.fromkeys(joins_here, mask))
        before[index] = mask | _mask(tuple(members))
    return waits_for


def _mask(steps: Group) -> int:
    if len(steps) < 50:
        mask = 0
        for step in steps:
            mask |= 1 << step
        return mask
    # One pass over bytes instead of one large integer per step.
    bits = bytearray(max(steps) // 8 + 1)
    for step in steps:
        bits[step >> 3] |= 1 << (step & 7)
    return int.from_bytes(bits, "little")
