"""Find a contact or a company of the CRM by its phone number or e-mail address."""

from __future__ import annotations

from typing import Any

from beltline.modules.bitrix24.client import call, portal_handler
from beltline.modules.bitrix24.duplicates import ids_of
from beltline.modules.bitrix24.entities import COMPANY, CONTACT, Entity
from beltline.modules.bitrix24.looking import FindConfig, asked_ways
from beltline.sdk import Context, Example, Module
from beltline.sdk.bitrix24 import KIND


def _declared(entity: Entity, icon: str) -> Module[FindConfig, dict[str, Any]]:
    @portal_handler
    async def find(config: FindConfig, context: Context) -> dict[str, Any]:
        """The fields of the entry, or `{ID: ""}` where there is none.

        Where several fit, the oldest is given: it has the history.
        """
        for kind, value in asked_ways(config):
            ids = await ids_of(context, entity.name.upper(), kind, [value])
            if ids:
                return dict(await call(context, f"crm.{entity.name}.get", {"id": ids[0]}))
        return {"ID": ""}

    return Module(
        name=f"bitrix24.find-{entity.name}",
        version=1,
        summary=f"Find a {entity.name} by phone or e-mail.",
        description=(
            f"The result holds the fields of the {entity.name} as `crm.{entity.name}.get` gives"
            f' them. Where there is no such {entity.name}, `ID` is "". Of several the oldest is'
            " given."
        ),
        category="crm",
        icon=icon,
        effect="idempotent",
        on_repeat="It looks again.",
        connection=KIND,
        config=FindConfig,
        output=dict[str, Any],
        handler=find,
        requests=3,
        examples=(
            Example("By phone", {"phone": "79161234567"}),
            Example(
                "By phone, else by e-mail", {"phone": "79161234567", "email": "anna@site.example"}
            ),
        ),
    )


contact = _declared(CONTACT, "user-search")
company = _declared(COMPANY, "building")
modules = [contact, company]
