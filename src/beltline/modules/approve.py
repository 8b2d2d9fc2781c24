"""Have a person decide. The engine itself runs this step.

The file only declares the step. What waits for approval is listed by the API; whoever may not sign
in decides by a link that is good once.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.sdk import Config, Duration, Example, Module, Output, field


class ApproveConfig(Config):
    """What is to be decided, and until when."""

    title: Annotated[
        str,
        field("Title", "What is to be decided.", examples=["A discount of 20 %"], min_length=1),
    ]
    text: Annotated[
        str, field("Text", "What the person should know.", examples=["{{ request.reason }}"])
    ] = ""
    fields: Annotated[
        dict[str, str],
        field(
            "Fields",
            "What the person may fill in beside a comment: each field's name and its title.",
            examples=[{"discount": "Discount, %"}],
        ),
    ] = msgspec.field(default_factory=dict)
    within: Annotated[
        Duration | None,
        field(
            "Within",
            "How long to wait. Then the step goes to `on_timeout`; without that it fails.",
            examples=["2d"],
        ),
    ] = None


class ApproveOutput(Output):
    """The decision, or that the time was over."""

    timed_out: Annotated[bool, field("Timed out", "True where the time was over first.")]
    approved: Annotated[bool | None, field("Approved", "False for a rejection.")] = None
    comment: Annotated[str, field("Comment", "What the person said.")] = ""
    given: Annotated[dict[str, Any], field("Given", "The values of the fields.")] = msgspec.field(
        default_factory=dict
    )
    by: Annotated[str, field("By", "Who decided.")] = ""


module = Module(
    name="approve",
    version=1,
    summary="Have a person decide, or go on when the time is over.",
    description=(
        "What waits is listed by `GET /api/v1/approvals`, with a link that needs no account and is"
        " good once; it is decided by `POST /api/v1/runs/{id}/approve` or `/reject`. A rejection is"
        " a decision: ask for `approved` in the step's `condition`."
    ),
    category="flow",
    icon="check",
    effect="pure",
    config=ApproveConfig,
    output=ApproveOutput,
    handler=None,
    examples=(
        Example(
            "A discount",
            {
                "title": "A discount for {{ request.name }}",
                "text": "They ask for {{ request.discount }} %.",
                "fields": {"discount": "Discount, %"},
                "within": "2d",
            },
        ),
        Example("Whatever it takes", {"title": "Publish the price list"}),
    ),
)
