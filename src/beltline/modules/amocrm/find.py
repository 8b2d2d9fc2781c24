"""Find a contact or a company by its phone number or e-mail address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from beltline.modules.amocrm.client import KIND, amo_handler, call, embedded, rejected
from beltline.modules.amocrm.fields import values_of
from beltline.sdk import Config, Context, Example, Module, field

_FOUND = 50  # a search gives the entries that hold the text anywhere: few are of others
_COMPARED_DIGITS = 10  # without the 7, 8 or +7 before them


class FindConfig(Config):
    """By what to find the entry."""

    phone: Annotated[
        str | int | None,
        field("Phone", "The number, in any notation.", examples=["{{ $phone(request.phone) }}"]),
    ] = None
    email: Annotated[
        str | None,
        field(
            "E-mail",
            "The address. It is searched for where nobody has the phone number.",
            examples=["{{ request.email }}"],
        ),
    ] = None


def _declared(
    name: Literal["contact", "company"], plural: str, icon: str
) -> Module[FindConfig, dict[str, Any]]:
    async def search(
        context: Context, text: str, code: str, compared: Callable[[str], str]
    ) -> dict[str, Any] | None:
        """The oldest entry that has exactly this in the field."""
        query = [("query", text), ("limit", str(_FOUND)), ("with", "leads"), ("order[id]", "asc")]
        found = embedded(await call(context, "GET", f"/{plural}", query=query), plural)
        wanted = compared(text)
        fits = [one for one in found if wanted in map(compared, values_of(one, code))]
        return min(fits, key=lambda one: int(one["id"])) if fits else None

    @amo_handler
    async def find(config: FindConfig, context: Context) -> dict[str, Any]:
        """The entry as the API gives it, or `{id: ""}` where there is none."""
        digits = _last_digits(str(config.phone or ""))
        email = (config.email or "").strip()
        if not digits and not email:
            raise rejected("give `phone` or `email`: both are empty")
        found = await search(context, digits, "PHONE", _last_digits) if digits else None
        if found is None and email:
            found = await search(context, email, "EMAIL", str.casefold)
        return found or {"id": ""}

    return Module(
        name=f"amocrm.find-{name}",
        version=1,
        summary=f"Find a {name} by phone or e-mail.",
        description=(
            "The result is the entry as the API gives it: `id`, `name`, `custom_fields_values`,"
            ' `_embedded.leads` and the like. Where there is none, `id` is "". Of several the'
            " oldest is given. The search learns of new entries after some moments. Of a phone the"
            " last ten digits count."
        ),
        category="crm",
        icon=icon,
        effect="idempotent",
        on_repeat="It looks again.",
        connection=KIND,
        config=FindConfig,
        output=dict[str, Any],
        handler=find,
        requests=2,
        examples=(
            Example(
                "By phone, else by e-mail", {"phone": "79161234567", "email": "anna@site.example"}
            ),
        ),
    )


def _last_digits(phone: str) -> str:
    """The digits that count: accounts hold phones as people type them."""
    return re.sub(r"[^0-9]", "", phone)[-_COMPARED_DIGITS:]


contact = _declared("contact", "contacts", "user-search")
company = _declared("company", "companies", "building")
modules = [contact, company]
