"""Give a value a new shape: one expression whose value is the step's result.

The reshaping itself is the JSONata expression in `{{ }}`, which the hub has filled in before the
module is called. `set` gives names to several values; `map` gives one value as it is.
"""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import Config, Context, Example, Module, field


class MapConfig(Config):
    """The value to give."""

    value: Annotated[
        Any,
        field(
            "Value",
            "The new shape, most often one expression. An object becomes the result itself; "
            "anything else becomes `{value: …}`.",
            examples=["{{ request.items.{'id': sku, 'amount': count} }}"],
        ),
    ] = None


async def map_value(config: MapConfig, _: Context) -> dict[str, Any]:
    """The value, as an object."""
    if isinstance(config.value, dict):
        return config.value
    return {"value": config.value}


module = Module(
    name="map",
    version=1,
    summary="Give a value a new shape.",
    description=(
        "An expression that gives nothing leaves the parameter out; the result is then"
        " `{value: null}`."
    ),
    category="data",
    icon="shuffle",
    effect="pure",
    config=MapConfig,
    output=dict[str, Any],
    handler=map_value,
    examples=(
        Example(
            "An object is the result itself",
            {"value": {"id": 7, "phone": "79161234567"}},
            {"id": 7, "phone": "79161234567"},
        ),
        Example("A list is the result's value", {"value": [1, 2]}, {"value": [1, 2]}),
    ),
)
