"""Add a lead (a deal, as amoCRM uses the word), with its contact and company."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.modules.amocrm.adding import ON_REPEAT, AddedOutput, KeyField, add
from beltline.modules.amocrm.client import KIND, Id, amo_handler, entry_id, is_given
from beltline.modules.amocrm.fields import More, OwnFields
from beltline.sdk import Config, Context, Example, Module, field


class AddLeadConfig(Config):
    """The lead: the usual fields by name, those of the account in `fields`."""

    name: Annotated[
        str,
        field("Name", "What it is called.", examples=["Order {{ request.number }}"], min_length=1),
    ]
    price: Annotated[
        int | None, field("Price", "What it brings, in whole units of the account's currency.")
    ] = None
    pipeline: Annotated[
        int | None, field("Pipeline", "The id of the pipeline; without it the main one.")
    ] = None
    status: Annotated[
        int | None, field("Status", "The id of the stage; without it the first one.")
    ] = None
    contact: Annotated[Id | None, field("Contact", "The id of its contact; empty for none.")] = None
    company: Annotated[Id | None, field("Company", "The id of its company; empty for none.")] = None
    tags: Annotated[list[str], field("Tags", "Its tags.", examples=[["site"]])] = msgspec.field(
        default_factory=list
    )
    fields: OwnFields = msgspec.field(default_factory=dict)
    more: More = msgspec.field(default_factory=dict)
    key_field: KeyField = None


@amo_handler
async def add_lead(config: AddLeadConfig, context: Context) -> AddedOutput:
    """Adds the lead, or finds the one that an earlier attempt added."""
    links: dict[str, Any] = {}
    for name, kind, id in (
        ("contact", "contacts", config.contact),
        ("company", "companies", config.company),
    ):
        if id is not None and is_given(id):
            links[kind] = [{"id": entry_id(id, name)}]
    if config.tags:
        links["tags"] = [{"name": tag} for tag in config.tags]
    entry = {
        "name": config.name,
        "price": config.price,
        "pipeline_id": config.pipeline,
        "status_id": config.status,
        "_embedded": links or None,
    }
    given = {name: value for name, value in entry.items() if value is not None}
    return await add(context, "leads", {**given, **config.more}, config.fields, config.key_field)


module = Module(
    name="amocrm.add-lead",
    version=1,
    summary="Add a lead with its contact and company.",
    description="amoCRM takes seven calls a second: give the connection `limits`.",
    category="crm",
    icon="user-plus",
    effect="at-least-once",
    on_repeat=ON_REPEAT,
    connection=KIND,
    config=AddLeadConfig,
    output=AddedOutput,
    handler=add_lead,
    requests=2,
    examples=(
        Example(
            "An order of a contact",
            {
                "name": "Order 1204",
                "price": 1500,
                "contact": "84",
                "tags": ["site"],
                "key_field": 412399,
            },
        ),
    ),
)
