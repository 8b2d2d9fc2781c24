"""What goes wrong in a round, and when: drawn from a seed, so that it can be drawn again."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

Kind = Literal["kill", "pause", "leave", "cut", "restart"]
BACK_S = 3.0  # the time that a node takes to be there again


class Fault(msgspec.Struct, frozen=True):
    """A fault begins `at_s` after the start and lasts `for_s`: a killed node, and the database, are
    away for so long. It befalls one node (None: the database). `how` is the way that a link is cut,
    or the mode in which the database ends.
    """

    at_s: float
    for_s: float
    kind: Kind
    node: int | None
    how: str = ""

    def __str__(self) -> str:
        where = "the database" if self.node is None else f"node {self.node}"
        how = f" {self.how}" if self.how else ""
        return f"{self.at_s:.2f} s: {self.kind}{how} {where} for {self.for_s:.2f} s"


EVERY_ROUND: tuple[tuple[Kind, str], ...] = (
    ("kill", ""),
    ("pause", ""),
    ("leave", ""),
    ("cut", "both"),
    ("cut", "to_server"),
    ("cut", "to_client"),
    ("restart", "immediate"),
    ("restart", "fast"),
)
MORE: tuple[tuple[Kind, str], ...] = (
    ("kill", ""),
    ("kill", ""),
    ("pause", ""),
    ("cut", "both"),
    ("cut", "to_server"),
    ("cut", "to_client"),
    ("restart", "immediate"),
)


def draw(seed: int, *, nodes: int, span_s: float, lease_s: float, more: int = 5) -> list[Fault]:
    """The faults of a round in order: each of `EVERY_ROUND`, and so many `more`. Each node's own
    come one after the other, now and then at the same time as others' and the database's.
    """
    chance = Random(f"faults {seed}")
    kinds = [*EVERY_ROUND, *(chance.choice(MORE) for _ in range(more))]
    chance.shuffle(kinds)
    free_from: dict[int | None, float] = dict.fromkeys([None, *range(nodes)], 0.5)
    faults = []
    for number, (kind, how) in enumerate(kinds):
        wanted_s = span_s / len(kinds) * (number + chance.random())
        length_s = _length(chance, kind, lease_s)
        node = None if kind == "restart" else _node(chance, free_from, nodes, wanted_s)
        at_s = max(wanted_s, free_from[node])
        free_from[node] = at_s + length_s + (BACK_S if kind in ("kill", "leave") else 1.0)
        faults.append(Fault(round(at_s, 3), round(length_s, 3), kind, node, how))
    return sorted(faults, key=lambda fault: fault.at_s)


def _node(chance: Random, free_from: dict[int | None, float], nodes: int, at_s: float) -> int:
    """A node that nothing befalls at this moment, or the first that will be so."""
    free = [node for node in range(nodes) if free_from[node] <= at_s]
    return chance.choice(free) if free else min(range(nodes), key=lambda node: free_from[node])


def _length(chance: Random, kind: Kind, lease_s: float) -> float:
    match kind:
        case "kill":  # back before its lease has run out, or after it
            return chance.uniform(0.0, 2 * lease_s)
        case "pause":  # mostly longer than the lease: it wakes up and has lost its runs
            return chance.uniform(0.3 * lease_s, 2.5 * lease_s)
        case "cut":
            return chance.uniform(0.5, 6.0)
        case "leave":
            return chance.uniform(0.0, 1.0)
        case "restart":
            return chance.uniform(0.1, 2.0)
