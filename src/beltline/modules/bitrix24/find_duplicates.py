"""Find all leads, contacts and companies that have one of some phones or e-mail addresses."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from beltline.modules.bitrix24.client import portal_handler, rejected
from beltline.modules.bitrix24.duplicates import VALUES, ids_of
from beltline.sdk import Config, Context, Example, Module, Output, field
from beltline.sdk.bitrix24 import KIND

_Kind = Literal["lead", "contact", "company"]
_VALUES = 100  # of each kind: five calls for each kind of entry


class FindDuplicatesConfig(Config):
    """What to look for, and where."""

    phones: Annotated[
        list[str | int],
        field(
            "Phones",
            "The numbers, in any notation that the portal knows.",
            examples=[["79161234567", "+7 495 123-45-67"]],
            max_length=_VALUES,
        ),
    ] = msgspec.field(default_factory=list)
    emails: Annotated[
        list[str],
        field("E-mails", "The addresses.", examples=[["anna@site.example"]], max_length=_VALUES),
    ] = msgspec.field(default_factory=list)
    kinds: Annotated[
        list[_Kind],
        field("Kinds", "What to look through.", examples=[["contact"]], min_length=1),
    ] = msgspec.field(default_factory=lambda: ["lead", "contact", "company"])


class FindDuplicatesOutput(Output):
    """Who has one of them, the oldest first."""

    leads: Annotated[list[str], field("Leads", "The ids of the leads.")]
    contacts: Annotated[list[str], field("Contacts", "The ids of the contacts.")]
    companies: Annotated[list[str], field("Companies", "The ids of the companies.")]
    found: Annotated[bool, field("Found", "Whether there is any.")]


@portal_handler
async def find_duplicates(config: FindDuplicatesConfig, context: Context) -> FindDuplicatesOutput:
    """Asks by phone and by e-mail for each kind."""
    given = {
        "PHONE": _values(config.phones),
        "EMAIL": _values(config.emails),
    }
    if not any(given.values()):
        raise rejected("give `phones` or `emails`: all are empty")
    found: dict[str, list[str]] = {"lead": [], "contact": [], "company": []}
    for kind in dict.fromkeys(config.kinds):
        ids: set[int] = set()
        for way, values in given.items():
            ids.update(await ids_of(context, kind.upper(), way, values))
        found[kind] = [str(id) for id in sorted(ids)]
    return FindDuplicatesOutput(
        leads=found["lead"],
        contacts=found["contact"],
        companies=found["company"],
        found=any(found.values()),
    )


def _values(given: list[str] | list[str | int]) -> list[str]:
    """The values without empty ones and repeats, in their order."""
    return list(dict.fromkeys(text for one in given if (text := str(one).strip())))


module = Module(
    name="bitrix24.find-duplicates",
    version=1,
    summary="Find everybody with one of some phones or e-mails.",
    description=(
        "It looks as the portal itself looks for duplicates (`crm.duplicate.findbycomm`), 20 values"
        " a call. The portal tells at most 20 entries of a kind in one call."
    ),
    category="crm",
    icon="copy-check",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindDuplicatesConfig,
    output=FindDuplicatesOutput,
    handler=find_duplicates,
    requests=3 * 2 * (_VALUES // VALUES),
    examples=(
        Example("Of a person", {"phones": ["79161234567"], "emails": ["anna@site.example"]}),
        Example("Among contacts", {"phones": ["79161234567"], "kinds": ["contact"]}),
    ),
)
