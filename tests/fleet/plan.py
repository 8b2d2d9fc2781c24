"""What goes wrong in a round, and when: drawn from a seed, so that it can be drawn again."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

Kind = Literal["kill", "pause", "leave", "cut", "restart"]
KINDS: tuple[Kind, ...] = ("kill", "pause", "cut", "cut", "leave")
WAYS = ("to_server", "to_client", "both")


class Fault(msgspec.Struct, frozen=True):
    """A fault begins `at_s` after the start and lasts `for_s`. It befalls one node (None: the
    database). `how` is the way that a link is cut, or the mode in which the database ends.
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


def draw(seed: int, *, nodes: int, span_s: float, lease_s: float) -> list[Fault]:
    """The faults of a round, in order: each node's own one after the other, now and then at the
    same time as others', and the database twice.
    """
    chance = Random(f"faults {seed}")
    faults = []
    for node in range(nodes):
        at = chance.uniform(0.5, span_s / 3)
        while at < span_s:
            kind = chance.choice(KINDS)
            how = chance.choice(WAYS) if kind == "cut" else ""
            longest = {"kill": 1.0, "leave": 1.0}.get(kind, 2.5 * lease_s)
            length = chance.uniform(0.2, longest)
            faults.append(Fault(at, length, kind, node, how))
            at += length + chance.uniform(1.0, span_s / 2)
    for part in range(2):
        at = chance.uniform(0, span_s / 2) + part * span_s / 2
        mode = chance.choice(("immediate", "fast"))
        faults.append(Fault(at, chance.uniform(0.1, 2.0), "restart", None, mode))
    return sorted(faults, key=lambda fault: fault.at_s)
