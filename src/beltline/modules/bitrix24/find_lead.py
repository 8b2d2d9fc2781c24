"""Find the newest lead of a person that is still being worked on."""

from __future__ import annotations

from typing import Any

from beltline.modules.bitrix24.client import call, portal_handler
from beltline.modules.bitrix24.duplicates import ids_of
from beltline.modules.bitrix24.entities import LEAD
from beltline.modules.bitrix24.looking import FindConfig, asked_ways
from beltline.sdk import Context, Example, Module
from beltline.sdk.bitrix24 import KIND

_IN_WORK = "P"  # as a stage's semantics; S is a success, F a failure


@portal_handler
async def find_lead(config: FindConfig, context: Context) -> dict[str, Any]:
    """The fields of the lead, or `{ID: ""}` where there is none."""
    for kind, value in asked_ways(config):
        ids = await ids_of(context, "LEAD", kind, [value])
        if not ids:
            continue
        listed = await call(
            context,
            "crm.item.list",  # the older method has no order
            {"entityTypeId": LEAD.type_id, "filter": {"@id": ids}, "order": {"id": "DESC"}},
        )
        for lead in listed["items"]:
            if lead.get("stageSemanticId") == _IN_WORK:
                return dict(await call(context, "crm.lead.get", {"id": int(lead["id"])}))
    return {"ID": ""}


module = Module(
    name="bitrix24.find-lead",
    version=1,
    summary="Find the newest lead in work by phone or e-mail.",
    description=(
        "The result holds the fields of the lead as `crm.lead.get` gives them. Leads that were"
        ' closed, well or badly, are passed over. Where there is none, `ID` is "".'
    ),
    category="crm",
    icon="user-search",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindConfig,
    output=dict[str, Any],
    handler=find_lead,
    requests=5,
    examples=(
        Example("By phone", {"phone": "79161234567"}),
        Example("By e-mail", {"email": "anna@site.example"}),
    ),
)
