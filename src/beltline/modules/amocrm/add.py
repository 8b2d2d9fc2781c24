"""Add a contact or a company."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from beltline.modules.amocrm.adding import ON_REPEAT, AddedOutput, KeyField, add
from beltline.modules.amocrm.client import KIND, amo_handler
from beltline.modules.amocrm.fields import More, OwnFields, with_ways
from beltline.sdk import Config, Context, Example, Module, field


class AddConfig(Config):
    """The entry: the usual fields by name, those of the account in `fields`."""

    name: Annotated[
        str, field("Name", "What it is called.", examples=["{{ request.name }}"], min_length=1)
    ]
    phone: Annotated[
        str | int | None,
        field("Phone", "The phone number.", examples=["{{ $phone(request.phone) }}"]),
    ] = None
    email: Annotated[str | None, field("E-mail", "The e-mail address.")] = None
    fields: OwnFields = msgspec.field(default_factory=dict)
    more: More = msgspec.field(default_factory=dict)
    key_field: KeyField = None


def _declared(
    name: Literal["contact", "company"], plural: str, icon: str, called: str
) -> Module[AddConfig, AddedOutput]:
    @amo_handler
    async def add_entry(config: AddConfig, context: Context) -> AddedOutput:
        """Adds the entry, or finds the one that an earlier attempt added."""
        entry: dict[str, Any] = {"name": config.name, **config.more}
        fields = with_ways(config.fields, config.phone, config.email)
        return await add(context, plural, entry, fields, config.key_field)

    return Module(
        name=f"amocrm.add-{name}",
        version=1,
        summary=f"Add a {name}.",
        description="amoCRM takes seven calls a second: give the connection `limits`.",
        category="crm",
        icon=icon,
        effect="at-least-once",
        on_repeat=ON_REPEAT,
        connection=KIND,
        config=AddConfig,
        output=AddedOutput,
        handler=add_entry,
        requests=2,
        examples=(
            Example(
                "With its key",
                {
                    "name": called,
                    "phone": "79161234567",
                    "fields": {"412345": "site"},
                    "key_field": 412399,
                },
            ),
        ),
    )


contact = _declared("contact", "contacts", "contact", "Anna Orlova")
company = _declared("company", "companies", "building", "Veter Ltd")
modules = [contact, company]
