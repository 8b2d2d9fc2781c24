"""Find the newest open lead of a contact."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.amocrm.client import (
    KIND,
    Id,
    amo_handler,
    call,
    embedded,
    entry_id,
    is_given,
)
from beltline.sdk import Config, Context, Example, Module, field

_CLOSED = (142, 143)  # won and lost, in every pipeline of every account
_ASKED = 50  # of the newest leads of the contact


class FindLeadConfig(Config):
    """Whose lead to find."""

    contact: Annotated[
        Id | None,
        field(
            "Contact",
            "The id of the contact. An empty one finds no lead, so that a step before this may"
            " find no contact.",
            examples=["{{ find-contact.id }}"],
        ),
    ] = None
    pipeline: Annotated[
        int | None, field("Pipeline", "The id of a pipeline; without it in all of them.")
    ] = None


@amo_handler
async def find_lead(config: FindLeadConfig, context: Context) -> dict[str, Any]:
    """The lead as the API gives it, or `{id: ""}` where there is none."""
    if config.contact is None or not is_given(config.contact):
        return {"id": ""}
    contact = entry_id(config.contact, "contact")
    known = await call(context, "GET", f"/contacts/{contact}", query=[("with", "leads")])
    ids = sorted((int(one["id"]) for one in embedded(known, "leads")), reverse=True)[:_ASKED]
    if not ids:
        return {"id": ""}
    query = [*(("filter[id][]", str(id)) for id in ids), ("limit", str(_ASKED))]
    leads = embedded(await call(context, "GET", "/leads", query=query), "leads")
    fits = [
        lead
        for lead in leads
        if lead.get("status_id") not in _CLOSED
        and config.pipeline in (None, lead.get("pipeline_id"))
    ]
    return max(fits, key=lambda lead: int(lead["id"])) if fits else {"id": ""}


module = Module(
    name="amocrm.find-lead",
    version=1,
    summary="Find the newest open lead of a contact.",
    description=(
        "The result is the lead as the API gives it: `id`, `name`, `status_id`, `pipeline_id` and"
        ' the like. Where there is none, `id` is "". Of a contact with many leads the newest fifty'
        " are looked at."
    ),
    category="crm",
    icon="search",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindLeadConfig,
    output=dict[str, Any],
    handler=find_lead,
    requests=2,
    examples=(
        Example("Of the contact that was found", {"contact": "84"}),
        Example("No contact, no lead", {"contact": ""}, {"id": ""}),
    ),
)
