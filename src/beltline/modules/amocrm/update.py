"""Change a contact, a company or a lead."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.modules.amocrm.client import KIND, Id, amo_handler, call, entry_id, rejected
from beltline.modules.amocrm.fields import OwnFields, own_fields
from beltline.sdk import Config, Context, Example, Module, Output, field


class UpdateConfig(Config):
    """Which entry, and what to change."""

    id: Annotated[Id, field("Id", "The id of the entry.", examples=["{{ find-contact.id }}"])]
    set: Annotated[
        dict[str, Any],
        field(
            "Set",
            "The properties to change, as the API names them.",
            examples=[{"name": "Anna", "responsible_user_id": 504141}],
        ),
    ] = msgspec.field(default_factory=dict)
    fields: OwnFields = msgspec.field(default_factory=dict)


class UpdateOutput(Output):
    """The entry that was changed."""

    id: Annotated[int, field("Id", "The id of the entry.")]


def _declared(
    name: str, plural: str, example: dict[str, Any]
) -> Module[UpdateConfig, UpdateOutput]:
    @amo_handler
    async def update(config: UpdateConfig, context: Context) -> UpdateOutput:
        """Sets what is given; a second time it is set to the same."""
        id = entry_id(config.id, "id")
        body = dict(config.set)
        if config.fields:
            body["custom_fields_values"] = own_fields(config.fields)
        if not body:
            raise rejected("`set` and `fields` are empty: there is nothing to change")
        await call(context, "PATCH", f"/{plural}/{id}", body=body)
        return UpdateOutput(id=id)

    return Module(
        name=f"amocrm.update-{name}",
        version=1,
        summary=f"Change a {name}.",
        description=(
            "The values of a field take the place of all that it had: who adds a phone gives the"
            " others too. A field without values is emptied."
        ),
        category="crm",
        icon="file-pen",
        effect="idempotent",
        on_repeat="It puts the same values again, over what others have changed meanwhile.",
        connection=KIND,
        config=UpdateConfig,
        output=UpdateOutput,
        handler=update,
        examples=(Example("Of some values", {"id": "84", **example}),),
    )


contact = _declared("contact", "contacts", {"set": {"name": "Anna"}, "fields": {"412345": "site"}})
company = _declared("company", "companies", {"fields": {"PHONE": ["74951234567"]}})
lead = _declared("lead", "leads", {"set": {"status_id": 142, "price": 1500}})
modules = [contact, company, lead]
