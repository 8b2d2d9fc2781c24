"""Read entries of a catalogue, documents or a register by a condition."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.modules.onec.client import KIND, Entity, call, onec_handler, rejected
from beltline.modules.onec.values import Parameters, bound
from beltline.sdk import Config, Context, Example, Module, Output, field


class ReadConfig(Config):
    """What to read."""

    entity: Entity
    filter: Annotated[
        str,
        field(
            "Filter",
            "The condition in the notation of OData, with `:name` for each value. It takes no"
            " expressions. Empty for all.",
            examples=["ИНН eq :inn and DeletionMark eq false"],
            max_length=2_000,
            constant="value",
        ),
    ] = ""
    parameters: Parameters = msgspec.field(default_factory=dict)
    select: Annotated[
        list[str],
        field(
            "Fields",
            "The fields to give; without it all of them.",
            examples=[["Ref_Key", "Description"]],
            constant="value",
        ),
    ] = msgspec.field(default_factory=list)
    order: Annotated[
        str,
        field(
            "Order",
            "By which fields, each with `asc` or `desc`.",
            examples=["Date desc"],
            max_length=500,
            constant="value",
        ),
    ] = ""
    limit: Annotated[int, field("Limit", "How many entries to give at most.", ge=1, le=1_000)] = 100
    skip: Annotated[int, field("Skip", "How many entries to pass over.", ge=0)] = 0


class ReadOutput(Output):
    """What was found."""

    items: Annotated[list[dict[str, Any]], field("Entries", "The entries, as 1C gives them.")]
    first: Annotated[
        dict[str, Any] | None, field("First", "The first entry; null where there is none.")
    ]
    has_more: Annotated[
        bool, field("More", "Whether there are more; a step with a larger `skip` reads them.")
    ]


@onec_handler
async def read(config: ReadConfig, context: Context) -> ReadOutput:
    """The entries that fit. One more than asked for tells whether there are more."""
    query = [("$top", str(config.limit + 1))]
    condition = bound(config.filter, config.parameters)
    for name, value in (
        ("$filter", condition),
        ("$select", ",".join(config.select)),
        ("$orderby", config.order),
        ("$skip", str(config.skip) if config.skip else ""),
    ):
        if value:
            query.append((name, value))
    answer = await call(context, "GET", config.entity, query=query)
    entries = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise rejected(f"{config.entity}: the answer holds no list")
    items = [dict(one) for one in entries[: config.limit]]
    return ReadOutput(
        items=items, first=items[0] if items else None, has_more=len(entries) > config.limit
    )


module = Module(
    name="onec.read",
    version=1,
    summary="Read entries of 1C by a condition.",
    description=(
        "Values go into the condition as literals only, so that nothing that comes in can change"
        " it."
    ),
    category="crm",
    icon="database",
    effect="idempotent",
    on_repeat="It reads again.",
    connection=KIND,
    config=ReadConfig,
    output=ReadOutput,
    handler=read,
    examples=(
        Example(
            "A customer by its tax number",
            {
                "entity": "Catalog_Контрагенты",
                "filter": "ИНН eq :inn and DeletionMark eq false",
                "parameters": {"inn": "7707083893"},
                "select": ["Ref_Key", "Description"],
                "limit": 1,
            },
        ),
    ),
)
