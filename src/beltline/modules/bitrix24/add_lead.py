"""Add a lead, and not a second one when the attempt is repeated.

The portal has no idempotency keys. So the lead carries the key of its visit as its origin
(`ORIGINATOR_ID`, `ORIGIN_ID`), and every attempt that may be a repeat looks for a lead with this
origin before it adds one. What remains is an attempt that is still on its way to the portal while
the next one looks: that is why the module is at-least-once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import (
    ORIGINATOR,
    Id,
    call,
    call_whole,
    entity_id,
    multifield,
    portal_handler,
)
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND


class AddLeadConfig(Config):
    """The lead's fields: the usual ones by name, any others in `fields`."""

    title: Annotated[
        str | None,
        field("Title", "What the lead is called.", examples=["Call from the site"]),
    ] = None
    name: Annotated[str | None, field("Name", "The first name of the person.")] = None
    phone: Annotated[
        str | int | None,
        field("Phone", "The phone number.", examples=["{{ $phone(request.phone) }}"]),
    ] = None
    email: Annotated[str | None, field("E-mail", "The e-mail address.")] = None
    contact: Annotated[
        Id | None,
        field("Contact", "The id of a contact that the lead belongs to; empty for none."),
    ] = None
    fields: Annotated[
        Mapping[str, Any],
        field(
            "Fields",
            "Further fields, by the portal's names. One that is also given by name above stands.",
            examples=[{"SOURCE_ID": "WEB", "UF_CRM_1720697698689": "{{ request.page }}"}],
        ),
    ] = {}


class AddLeadOutput(Output):
    """The lead."""

    ID: Annotated[str, field("ID", "The id of the lead.")]
    repeated: Annotated[
        bool,
        field("Repeated", "Whether an earlier attempt had added the lead already."),
    ]


@portal_handler
async def add_lead(config: AddLeadConfig, context: Context) -> AddLeadOutput | Reject:
    """Adds the lead, or finds the one that an earlier attempt added."""
    asked = _ask(config, context)
    if isinstance(asked, Reject):
        return asked
    if context.is_repeat:
        fields = asked.params["fields"]
        origin = {
            f"={name}": fields[name] for name in ("ORIGINATOR_ID", "ORIGIN_ID") if name in fields
        }
        earlier = await call(context, "crm.lead.list", {"filter": origin, "select": ["ID"]})
        if earlier:
            return AddLeadOutput(ID=str(earlier[0]["ID"]), repeated=True)
    return _read(config, await call_whole(context, asked.method, asked.params))


def _ask(config: AddLeadConfig, context: Context) -> Asked | Reject:
    fields = _fields(config)
    if not fields:
        return Reject("the lead has no fields: give at least a title")
    if not {"ORIGINATOR_ID", "ORIGIN_ID"} & fields.keys():
        fields |= {"ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": context.key}
    return Asked("crm.lead.add", {"fields": fields})


def _read(config: AddLeadConfig, answer: Mapping[str, Any]) -> AddLeadOutput:
    return AddLeadOutput(ID=str(answer.get("result")), repeated=False)


def _fields(config: AddLeadConfig) -> dict[str, Any]:
    named: dict[str, Any] = {}
    if config.title:
        named["TITLE"] = config.title
    if config.name:
        named["NAME"] = config.name
    if config.contact is not None and str(config.contact).strip():
        named["CONTACT_ID"] = entity_id(config.contact, "contact")
    named |= multifield("PHONE", str(config.phone or "").strip())
    named |= multifield("EMAIL", (config.email or "").strip())
    return {**named, **config.fields}


# Leads that are surely new; of others each looks for its first one, by itself.
NEW: SingleMethod[AddLeadConfig, AddLeadOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.add-lead",
    version=1,
    summary="Add a lead.",
    description=(
        "The lead carries the step's idempotency key as its origin, so that a repeated attempt"
        " finds it and adds no second one. Where `fields` gives an origin of its own"
        " (`ORIGINATOR_ID`, `ORIGIN_ID`), a repeated attempt takes a lead of that origin for its"
        " own."
    ),
    category="crm",
    icon="user-plus",
    effect="at-least-once",
    on_repeat=(
        "It looks for the lead that carries the key of the visit as its origin, and adds none"
        " where there is one."
    ),
    connection=KIND,
    config=AddLeadConfig,
    output=AddLeadOutput,
    handler=add_lead,
    requests=2,
    batch=NEW.batch,
    batch_most=MOST,
    examples=(
        Example(
            "A call from the site",
            {
                "title": "Call from the site",
                "name": "Anna",
                "phone": "79161234567",
                "email": "anna@site.example",
                "fields": {"SOURCE_ID": "WEB", "COMMENTS": "Asked about delivery."},
            },
        ),
        Example(
            "Defaults from a step before",
            {"fields": {"TITLE": "Call from the site", "SOURCE_ID": "WEB"}, "contact": "84"},
        ),
    ),
)
