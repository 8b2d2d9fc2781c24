"""Wait for an event from outside. The engine itself runs this step.

The file only declares the step: who waits stands in the store, in the same commit as the decision
to wait, so that no event falls in between.
"""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import Config, Duration, Example, Module, Output, field


class WaitEventConfig(Config):
    """Which event, and for how long."""

    name: Annotated[
        str, field("Name", "The event's name.", examples=["payment-received"], min_length=1)
    ]
    key: Annotated[
        str | int,
        field("Key", "What the event is about.", examples=["{{ request.id }}"]),
    ] = ""
    within: Annotated[
        Duration | None,
        field(
            "Within",
            "How long to wait. Then the step goes to `on_timeout`; without that it fails.",
            examples=["2d"],
        ),
    ] = None


class WaitEventOutput(Output):
    """The event, or that the time was over."""

    timed_out: Annotated[bool, field("Timed out", "True where the time was over first.")]
    event: Annotated[str | None, field("Event", "The event's id.")] = None
    data: Annotated[Any, field("Data", "What the event carries.")] = None


module = Module(
    name="wait-event",
    version=1,
    summary="Wait for an event from outside, or until the time is over.",
    description=(
        "An event is sent by `POST /api/v1/events` or `beltline event send`. It goes to every run"
        " that waits for its name and key; with none it is kept for a while, and given to the first"
        " that comes. The step's key `on_timeout` names what follows when the time is over."
    ),
    category="flow",
    icon="bell",
    effect="pure",
    config=WaitEventConfig,
    output=WaitEventOutput,
    handler=None,
    examples=(
        Example(
            "A payment", {"name": "payment-received", "key": "{{ request.order }}", "within": "2d"}
        ),
        Example("Any restart", {"name": "restarted"}),
    ),
)
