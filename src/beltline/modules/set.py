"""Put values into the document: the parameters are the result.

The simplest module, and the one for defaults: whatever stands in `with`, with its `{{ }}` filled
in, becomes the step's entry.
"""

from __future__ import annotations

from typing import Any

from beltline.sdk import Context, Example, Module


async def set_values(config: dict[str, Any], _: Context) -> dict[str, Any]:
    """The parameters, unchanged."""
    return config


module = Module(
    name="set",
    version=1,
    summary="Put values into the document.",
    description=(
        "The parameters have any names. They are the step's result, so that later steps read them"
        " as `{{ step-id.NAME }}`."
    ),
    category="data",
    icon="pencil",
    effect="pure",
    config=dict[str, Any],
    output=dict[str, Any],
    handler=set_values,
    examples=(
        Example(
            "Defaults of a lead",
            {"SOURCE_ID": "WEB", "TITLE": "Call from the site"},
            {"SOURCE_ID": "WEB", "TITLE": "Call from the site"},
        ),
        Example("Nothing", {}, {}),
    ),
)
