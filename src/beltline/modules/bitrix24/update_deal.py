"""Change fields of a deal."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, call, entity_id, portal_handler
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND


class UpdateDealConfig(Config):
    """Which deal, and what to change."""

    id: Annotated[
        Id,
        field("Deal", "The id of the deal.", examples=["{{ get-bitrix-deal.value }}"]),
    ]
    fields: Annotated[
        dict[str, Any],
        field(
            "Fields",
            "The fields to change, by the portal's names. Others stay as they are.",
            examples=[{"STAGE_ID": "PREPARATION"}],
        ),
    ]


class UpdateDealOutput(Output):
    """The deal that was changed."""

    ID: Annotated[str, field("ID", "The id of the deal.")]


@portal_handler
async def update_deal(config: UpdateDealConfig, context: Context) -> UpdateDealOutput | Reject:
    """Sets the fields; a second time they are set to the same."""
    if not config.fields:
        return Reject("`fields` is empty: there is nothing to change")
    deal = entity_id(config.id, "id")
    await call(context, "crm.deal.update", {"id": deal, "fields": config.fields})
    return UpdateDealOutput(ID=str(deal))


module = Module(
    name="bitrix24.update-deal",
    version=1,
    summary="Change fields of a deal.",
    category="crm",
    icon="file-pen",
    effect="idempotent",
    on_repeat="It puts the same values again, over what others have changed meanwhile.",
    connection=KIND,
    config=UpdateDealConfig,
    output=UpdateDealOutput,
    handler=update_deal,
    examples=(Example("To another stage", {"id": "410", "fields": {"STAGE_ID": "PREPARATION"}}),),
)
