"""Get the fields of a deal by its id."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, call, entity_id, portal_handler
from beltline.sdk import Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class GetDealConfig(Config):
    """Which deal to get."""

    id: Annotated[
        Id,
        field("Deal", "The id of the deal.", examples=["{{ get-bitrix-deal.value }}"]),
    ]


@portal_handler
async def get_deal(config: GetDealConfig, context: Context) -> dict[str, Any]:
    """The fields of the deal, as the portal gives them."""
    return dict(await call(context, "crm.deal.get", {"id": entity_id(config.id, "id")}))


module = Module(
    name="bitrix24.get-deal",
    version=1,
    summary="Get a deal by its id.",
    description=(
        "The result holds the fields of the deal as `crm.deal.get` gives them: `ID`, `TITLE`,"
        " `STAGE_ID`, `OPPORTUNITY` and the like. A deal that is not there ends the visit."
    ),
    category="crm",
    icon="handshake",
    effect="idempotent",
    on_repeat="It reads again.",
    connection=KIND,
    config=GetDealConfig,
    output=dict[str, Any],
    handler=get_deal,
    examples=(Example("The deal that was found", {"id": "410"}),),
)
