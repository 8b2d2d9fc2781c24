"""Get the fields of a deal by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class GetDealConfig(Config):
    """Which deal to get."""

    id: Annotated[
        Id,
        field("Deal", "The id of the deal.", examples=["{{ get-bitrix-deal.value }}"]),
    ]


def _ask(config: GetDealConfig, context: Context) -> Asked:
    return Asked("crm.deal.get", {"id": entity_id(config.id, "id")})


def _read(config: GetDealConfig, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the deal, as the portal gives them."""
    return dict(answer["result"])


METHOD: SingleMethod[GetDealConfig, dict[str, Any]] = SingleMethod(_ask, _read)
get_deal = METHOD.handler
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
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(Example("The deal that was found", {"id": "410"}),),
)
