"""A checked process, ready to run: what the definition layer makes and the supervisor reads.

A `Process` is immutable and compiled once, when its version is loaded. Conditions and values hold
their compiled forms; step ids stay strings, so that journals can be read without the definition.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from beltline.core.routing import Routing
from beltline.core.template import Template

Effect = Literal["pure", "idempotent", "at-least-once"]


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how long after a failure a visit is tried again.

    `attempts` counts failures that are allowed in total (1: no retry). The wait before the next
    try after failure n is `first_ms * factor ** (n - 1)`, at most `max_ms`.
    """

    attempts: int = 5
    first_ms: int = 1_000
    factor: float = 2.0
    max_ms: int = 300_000


class Step(msgspec.Struct, frozen=True):
    """One place in a process.

    `transport` names how the step reaches its handler (`event`, `http`) as it is configured now; it
    is no part of what was published. `is_inline` (a pure handler beside the belt, called in place)
    follows from it and from `effect`.
    `module` is the name as the author wrote it, `implementation` what it is pinned to on
    publishing (`name@major`). `next` is None where the key is absent: the branch ends there when
    no condition gives an outcome. `is_join` (arriving tokens gather here) follows from two or more
    names in `prev`. `on_timeout` is where a step leads that waits for something from outside, when
    its time is over. `undo` names the step that undoes this one; empty: nothing does.
    """

    id: str
    module: str
    implementation: str
    effect: Effect
    input: Template
    routing: Routing | None = None
    next: tuple[str, ...] = ()
    prev: tuple[str, ...] = ()
    on_error: tuple[str, ...] = ()
    on_timeout: tuple[str, ...] = ()
    undo: str = ""
    connection: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout_ms: int = 30_000
    max_visits: int = 1_000
    title: str = ""
    transport: str = "event"
    is_join: bool = False
    is_inline: bool = False

    def __post_init__(self) -> None:
        # Asked at every move of a token, so they are worked out once.
        msgspec.structs.force_setattr(self, "is_join", len(self.prev) > 1)
        is_inline = self.effect == "pure" and self.transport == "event"
        msgspec.structs.force_setattr(self, "is_inline", is_inline)


STARTS_RUNS = frozenset(("call@1", "for-each@1"))


class Process(msgspec.Struct, frozen=True, dict=True):
    """One version of a process: `steps` in file order, by id.

    `name` and `version` address it in the store. `output` gives the result of a completed run;
    None means the last completed step's result.
    """

    name: str
    version: int
    start: tuple[str, ...]
    steps: dict[str, Step]
    title: str = ""
    output: Template | None = None
    source_text: str = ""

    @property
    def starts_runs(self) -> bool:
        """Whether a step of it starts other runs."""
        known = self.__dict__.get("starts_runs_known")
        if known is None:
            known = any(step.implementation in STARTS_RUNS for step in self.steps.values())
            self.__dict__["starts_runs_known"] = known
        return bool(known)
