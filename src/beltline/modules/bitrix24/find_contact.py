"""Find a contact of the CRM by its phone number or e-mail address."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.bitrix24.client import call, portal_handler
from beltline.sdk import Config, Context, Example, Module, Reject, field
from beltline.sdk.bitrix24 import KIND


class FindContactConfig(Config):
    """By what to find the contact."""

    phone: Annotated[
        str | int | None,
        field(
            "Phone",
            "The number, in any notation that the portal knows; `$phone` gives digits alone.",
            examples=["{{ $phone(request.phone) }}"],
        ),
    ] = None
    email: Annotated[
        str | None,
        field(
            "E-mail",
            "The address. It is asked for where no contact has the phone number.",
            examples=["{{ request.email }}"],
        ),
    ] = None


@portal_handler
async def find_contact(config: FindContactConfig, context: Context) -> dict[str, Any] | Reject:
    """The contact's fields, or `{ID: ""}` where there is none.

    Where several contacts fit, the oldest is given: it has the history.
    """
    asked = {"PHONE": str(config.phone or "").strip(), "EMAIL": (config.email or "").strip()}
    if not any(asked.values()):
        return Reject("give `phone` or `email`: both are empty")
    for kind, value in asked.items():
        if not value:
            continue
        found = await call(
            context,
            "crm.duplicate.findbycomm",
            {"type": kind, "values": [value], "entity_type": "CONTACT"},
        )
        ids = found.get("CONTACT", []) if isinstance(found, dict) else []
        if ids:
            contact = await call(context, "crm.contact.get", {"id": min(int(id) for id in ids)})
            return dict(contact)
    return {"ID": ""}


module = Module(
    name="bitrix24.find-contact",
    version=1,
    summary="Find a contact by phone or e-mail.",
    description=(
        "The result holds the fields of the contact as `crm.contact.get` gives them, so `ID`,"
        ' `NAME`, `PHONE` and the like. Where there is no such contact, `ID` is "". Of several'
        " contacts the oldest is given."
    ),
    category="crm",
    icon="user-search",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindContactConfig,
    output=dict[str, Any],
    handler=find_contact,
    requests=3,
    examples=(
        Example("By phone", {"phone": "79161234567"}),
        Example("By phone, else by e-mail", {"phone": "79161234567", "email": "anna@site.example"}),
    ),
)
