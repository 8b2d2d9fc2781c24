"""What a measurement gives: figures with their spread, their goal, and whether it was reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["at least", "at most"]


@dataclass(frozen=True)
class Goal:
    """A bound from the project's own demands: `at least` or `at most` so much, in words."""

    direction: Direction
    bound: float
    words: str = ""

    def is_reached(self, value: float) -> bool:
        """Whether the value is on the right side of the bound."""
        return value >= self.bound if self.direction == "at least" else value <= self.bound


@dataclass(frozen=True)
class Figure:
    """One number of one row: the median of `samples`, with all of them kept.

    `conditions` says under what it was measured; a figure without them tells nothing.
    """

    row: str
    name: str
    unit: str
    samples: tuple[float, ...]
    conditions: str
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle of the samples: one run that was disturbed does not move it."""
        return statistics.median(self.samples)

    @property
    def is_reached(self) -> bool | None:
        """Whether the median reaches the goal; None where there is no goal."""
        return None if self.goal is None else self.goal.is_reached(self.median)


@dataclass(frozen=True)
class Missing:
    """A figure that could not be taken, and why: it is told, never left out."""

    row: str
    name: str
    reason: str


@dataclass
class Findings:
    """All that the rows found, in order; `raw` holds what each measured process printed."""

    figures: list[Figure | Missing] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        row: str,
        name: str,
        unit: str,
        samples: list[float],
        conditions: str,
        goal: Goal | None = None,
    ) -> None:
        """Adds one figure."""
        self.figures.append(Figure(row, name, unit, tuple(samples), conditions, goal))

    def miss(self, row: str, name: str, reason: str) -> None:
        """Adds one that could not be taken."""
        self.figures.append(Missing(row, name, reason))

    def median(self, row: str, name: str) -> float | None:
        """The median of a figure that was taken in this run."""
        for figure in self.figures:
            if isinstance(figure, Figure) and (figure.row, figure.name) == (row, name):
                return figure.median
        return None
