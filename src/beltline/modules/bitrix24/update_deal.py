"""Change fields of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
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


def _ask(config: UpdateDealConfig, context: Context) -> Asked | Reject:
    """Sets the fields; a second time they are set to the same."""
    if not config.fields:
        return Reject("`fields` is empty: there is nothing to change")
    return Asked("crm.deal.update", {"id": entity_id(config.id, "id"), "fields": config.fields})


def _read(config: UpdateDealConfig, answer: Mapping[str, Any]) -> UpdateDealOutput:
    return UpdateDealOutput(ID=str(entity_id(config.id, "id")))


METHOD: SingleMethod[UpdateDealConfig, UpdateDealOutput] = SingleMethod(_ask, _read)
update_deal = METHOD.handler
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
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(Example("To another stage", {"id": "410", "fields": {"STAGE_ID": "PREPARATION"}}),),
)
