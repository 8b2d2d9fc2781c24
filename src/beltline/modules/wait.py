"""Wait for a length of time or until a moment. The engine itself runs this step.

The file only declares the step: a wait takes no thread and no memory, since the run lies in the
store until its time has come, through restarts too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from beltline.sdk import Config, Duration, Example, Module, Output, field


class WaitConfig(Config, rename={"for_": "for"}):
    """How long, or until when: one of the two."""

    for_: Annotated[
        Duration | None,
        field("For", "A length of time, such as 30s or 1h30m.", examples=["5m"]),
    ] = None
    until: Annotated[
        str | None,
        field(
            "Until",
            "A moment with its offset from UTC. One in the past ends the wait at once.",
            examples=["2026-11-23T09:00:00+03:00"],
        ),
    ] = None

    def __post_init__(self) -> None:
        if (self.for_ is None) == (self.until is None):
            raise ValueError("give `for` (a length of time) or `until` (a moment), one of the two")
        if self.until is not None and not _is_moment(self.until):
            raise ValueError("`until` is a moment with its offset: 2026-11-23T09:00:00+03:00")


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return False


class WaitOutput(Output):
    """When the wait was over."""

    until: Annotated[int, field("Until", "The end of the wait, in milliseconds since 1970.")]


module = Module(
    name="wait",
    version=1,
    summary="Wait for a length of time or until a moment.",
    category="flow",
    icon="clock",
    effect="pure",
    config=WaitConfig,
    output=WaitOutput,
    handler=None,
    examples=(
        Example("Five minutes", {"for": "5m"}),
        Example("Until the office opens", {"until": "2026-11-23T09:00:00+03:00"}),
    ),
)
