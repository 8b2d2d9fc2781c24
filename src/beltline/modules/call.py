"""Start a run of another process. The engine itself runs this step.

The file only declares the step: the child becomes durable in the same commit as the decision to
start it, and its end comes to the parent's inbox in the commit that ends it.
"""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import Config, Example, Module, Output, field


class CallConfig(Config):
    """Which process, and with what."""

    process: Annotated[
        str, field("Process", "The name of the process.", examples=["order"], min_length=1)
    ]
    request: Annotated[
        Any,
        field(
            "Request",
            "What the child has as its `request`: any value.",
            examples=[{"order": "{{ request.id }}"}],
        ),
    ] = None
    wait: Annotated[bool, field("Wait", "Whether this run waits for the end of the other one.")] = (
        True
    )


class CallOutput(Output):
    """What a step that does not wait gives; one that waits gives the child's result."""

    run: Annotated[str, field("Run", "The id of the run that was started.")]


module = Module(
    name="call",
    version=1,
    summary="Start a run of another process, and wait for its result.",
    description=(
        "The run goes through the newest version of the process. Its result is the step's. One that"
        " stops leaves this run waiting, which says so; one that is cancelled fails the step (kind"
        " `child`). A run that ends cancels those that it waits for."
    ),
    category="flow",
    icon="corner-down-right",
    effect="pure",
    config=CallConfig,
    output=CallOutput,
    handler=None,
    examples=(
        Example("And wait", {"process": "order", "request": {"order": "{{ request.id }}"}}),
        Example("And go on", {"process": "order", "request": {}, "wait": False}),
    ),
)
