"""End the whole run here, whatever its other branches do. The engine itself runs this step.

The file only declares the step. A branch that is to end while others go on needs no step: it ends
where `next` is absent.
"""

from __future__ import annotations

from typing import Annotated

from beltline.sdk import Config, Example, Module, Output, field


class StopConfig(Config):
    """Why the run ends."""

    reason: Annotated[
        str,
        field(
            "Reason",
            "A sentence for people; it stands in the journal and beside the run.",
            examples=["The lead is a duplicate."],
        ),
    ] = ""


class StopOutput(Output):
    """Why the run ended."""

    reason: Annotated[str, field("Reason", "The reason that was given.")]


module = Module(
    name="stop",
    version=1,
    summary="End the whole run.",
    description=(
        "The run is completed; answers of steps that were still at work come too late and are"
        " ignored."
    ),
    category="flow",
    icon="square",
    effect="pure",
    config=StopConfig,
    output=StopOutput,
    handler=None,
    examples=(Example("A duplicate", {"reason": "The lead is a duplicate."}),),
)
