"""Find the newest open deal of a contact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, call, entity_id, portal_handler
from beltline.sdk import Config, Context, Example, Module, Output, field
from beltline.sdk.bitrix24 import KIND


class FindDealConfig(Config):
    """Whose deal to find."""

    contact: Annotated[
        Id | None,
        field(
            "Contact",
            "The id of the contact. An empty one finds no deal, so that a step before this may"
            " find no contact.",
            examples=["{{ bitrix-find-contact.ID }}"],
        ),
    ] = None
    filter: Annotated[
        Mapping[str, Any],
        field(
            "Filter",
            "Further conditions, in the notation of `crm.deal.list`.",
            examples=[{"CATEGORY_ID": 0}],
        ),
    ] = {}


class FindDealOutput(Output):
    """The deal that was found."""

    value: Annotated[str, field("Value", 'The id of the deal, or "" where there is none.')]


@portal_handler
async def find_deal(config: FindDealConfig, context: Context) -> FindDealOutput:
    """The open deal of the contact that was made last."""
    if config.contact is None or not str(config.contact).strip():
        return FindDealOutput(value="")
    deals = await call(
        context,
        "crm.deal.list",
        {
            # The author's conditions narrow the search; they cannot widen it.
            "filter": {
                **config.filter,
                "CONTACT_ID": entity_id(config.contact, "contact"),
                "CLOSED": "N",
            },
            "order": {"ID": "DESC"},
            "select": ["ID"],
        },
    )
    return FindDealOutput(value=str(deals[0]["ID"]) if deals else "")


module = Module(
    name="bitrix24.find-deal",
    version=1,
    summary="Find the newest open deal of a contact.",
    category="crm",
    icon="search",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindDealConfig,
    output=FindDealOutput,
    handler=find_deal,
    examples=(
        Example("The deal of a contact", {"contact": "84"}),
        Example("In one pipeline", {"contact": 84, "filter": {"CATEGORY_ID": 0}}),
        Example("No contact, no deal", {"contact": ""}, {"value": ""}),
    ),
)
