"""Find the newest open deal of a contact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
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


def _ask(config: FindDealConfig, context: Context) -> Asked | FindDealOutput:
    """Asks for the open deal of the contact that was made last."""
    if config.contact is None or not str(config.contact).strip():
        return FindDealOutput(value="")
    # The author's conditions narrow the search; they cannot widen it.
    contact = entity_id(config.contact, "contact")
    filter = {**config.filter, "CONTACT_ID": contact, "CLOSED": "N"}
    return Asked("crm.deal.list", {"filter": filter, "order": {"ID": "DESC"}, "select": ["ID"]})


def _read(config: FindDealConfig, answer: Mapping[str, Any]) -> FindDealOutput:
    deals = answer["result"]
    return FindDealOutput(value=str(deals[0]["ID"]) if deals else "")


METHOD: SingleMethod[FindDealConfig, FindDealOutput] = SingleMethod(_ask, _read)
find_deal = METHOD.handler
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
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example("The deal of a contact", {"contact": "84"}),
        Example("In one pipeline", {"contact": 84, "filter": {"CATEGORY_ID": 0}}),
        Example("No contact, no deal", {"contact": ""}, {"value": ""}),
    ),
)
