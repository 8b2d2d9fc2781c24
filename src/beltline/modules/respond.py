"""Give the sender that waits its answer. The engine itself runs this step.

A sender asks for it with `Prefer: wait=N` (RFC 7240). The file only declares the step: the answer
is a part of the run's journal, and goes out once that is durable.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.sdk import Config, Example, Module, Output, field


class RespondConfig(Config):
    """The answer, as HTTP has it."""

    status: Annotated[
        int,
        field("Status", "The status of the answer.", examples=[200, 422], ge=200, le=599),
    ] = 200
    headers: Annotated[
        dict[str, str],
        field("Headers", "Headers of the answer.", examples=[{"Cache-Control": "no-store"}]),
    ] = msgspec.field(default_factory=dict)
    body: Annotated[
        Any,
        field(
            "Body",
            "Any value, which is sent as JSON; a text is sent as it is.",
            examples=[{"price": "{{ price.amount }}"}],
        ),
    ] = None


class RespondOutput(Output):
    """Whether this was the answer."""

    answered: Annotated[
        bool,
        field("Answered", "False where an earlier step had given the answer already."),
    ]


module = Module(
    name="respond",
    version=1,
    summary="Give the sender that waits its answer, and go on.",
    description=(
        "Only the first answer of a run counts; a second one is noted in the journal and ignored."
        " A sender that did not ask to wait (`Prefer: wait=N`) was told 202 long before."
    ),
    category="flow",
    icon="reply",
    effect="pure",
    config=RespondConfig,
    output=RespondOutput,
    handler=None,
    examples=(
        Example("A price", {"body": {"price": 1200, "currency": "RUB"}}),
        Example("A refusal", {"status": 422, "body": {"error": "This phone number is wrong."}}),
    ),
)
