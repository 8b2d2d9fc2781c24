"""Add a lead, and not a second one when the attempt is repeated (`origin.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, optional_id
from beltline.modules.bitrix24.entities import LEAD
from beltline.modules.bitrix24.origin import AddedOutput, Adding
from beltline.modules.bitrix24.single import MOST
from beltline.modules.bitrix24.ways import named_ways
from beltline.sdk import Config, Example, Module, field
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


def _fields(config: AddLeadConfig) -> dict[str, Any]:
    named: dict[str, Any] = {"TITLE": config.title, "NAME": config.name}
    return {
        **{name: value for name, value in named.items() if value},
        **optional_id(config.contact, "CONTACT_ID"),
        **named_ways(config.phone, config.email),
        **config.fields,
    }


ADDING = Adding(LEAD, _fields)
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
    output=AddedOutput,
    handler=ADDING.handler,
    requests=2,
    batch=ADDING.batch,
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
