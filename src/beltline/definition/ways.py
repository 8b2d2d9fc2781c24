"""The steps of a process as a graph: which way can lead from which step to which.

Steps are numbers here, in file order, so that sets of them can be the bits of an integer: a
process of 10,000 steps has sets of 1.25 KB, and joining two of them takes about 100 ns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

Group = tuple[int, ...]


class Exits(msgspec.Struct, frozen=True):
    """The ways out of a step: each group is a list of steps that get their tokens together.

    `is_fixed` holds where there is one way on for a step that ends well: its `next`.
    """

    next: Group
    outcomes: tuple[Group, ...]
    on_error: Group
    on_timeout: Group
    is_fixed: bool

    @property
    def groups(self) -> list[Group]:
        """All groups that name a step."""
        every = (self.next, *self.outcomes, self.on_error, self.on_timeout)
        return [group for group in every if group]


class Ways:
    """The graph: per step its successors and predecessors without repetition, and the steps that
    can be reached, in an order in which a step follows its predecessors where there is no loop.
    """

    def __init__(self, exits: Sequence[Exits], start: Group, joins: frozenset[int]) -> None:
        self.exits = exits
        self.start = start
        self.joins = joins
        self.successors: list[list[int]] = [
            list(dict.fromkeys(target for group in out.groups for target in group)) for out in exits
        ]
        self.order = _reverse_postorder(self.successors, start)
        reached = set(self.order)
        self.predecessors: list[list[int]] = [[] for _ in exits]
        self.all_predecessors: list[list[int]] = [[] for _ in exits]
        for source, targets in enumerate(self.successors):
            for target in targets:
                self.all_predecessors[target].append(source)
                if source in reached:
                    self.predecessors[target].append(source)


def _reverse_postorder(successors: Sequence[Sequence[int]], start: Group) -> list[int]:
    seen = set()
    finished: list[int] = []
    for root in reversed(start):
        if root in seen:
            continue
        seen.add(root)
        stack: list[tuple[int, Iterator[int]]] = [(root, iter(successors[root]))]
        while stack:
            step, rest = stack[-1]
            for target in rest:
                if target not in seen:
                    seen.add(target)
                    stack.append((target, iter(successors[target])))
                    break
            else:
                finished.append(step)
                stack.pop()
    finished.reverse()
    return finished


def components(successors: Sequence[Sequence[int]], order: Sequence[int]) -> list[list[int]]:
    """The groups of steps that lead to each other, each group before all that it can lead to.

    Tarjan's algorithm with a stack of its own.
    """
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    open_steps: list[int] = []
    is_open: set[int] = set()
    found: list[list[int]] = []
    for root in order:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_steps.append(root)
        is_open.add(root)
        stack: list[tuple[int, Iterator[int]]] = [(root, iter(successors[root]))]
        while stack:
            step, rest = stack[-1]
            for target in rest:
                if target not in number:
                    number[target] = low[target] = len(number)
                    open_steps.append(target)
                    is_open.add(target)
                    stack.append((target, iter(successors[target])))
                    break
                if target in is_open:
                    low[step] = min(low[step], number[target])
            else:
                stack.pop()
                if stack:
                    parent = stack[-1][0]
                    low[parent] = min(low[parent], low[step])
                if low[step] == number[step]:
                    members = []
                    while True:
                        member = open_steps.pop()
                        is_open.discard(member)
                        members.append(member)
                        if member == step:
                            break
                    found.append(members)
    found.reverse()
    return found


def bits_of(mask: int) -> Iterator[int]:
    """The numbers in a set of bits, from the least."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
