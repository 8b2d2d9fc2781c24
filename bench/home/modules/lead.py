"""The five steps of the benchmark as a site's own modules: what they do stands in bench/lead.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from beltline.sdk import Config, Context, Module
from bench import lead

Fields = dict[str, Any]


class Normalise(Config):
    """The fields of a form."""

    name: str
    phone: str
    email: str


class FindContact(Config):
    """A phone, as digits."""

    phone: str


class SetDefaults(Config):
    """Who the lead is of."""

    name: str


class GetDeal(Config):
    """A deal's id."""

    deal: int


class Remember(Config):
    """Whose lead it is, and which."""

    phone: str
    lead_id: int


class Notify(Config):
    """Whose lead is done, and which."""

    name: str
    lead_id: int


async def normalise(config: Normalise, _: Context) -> Fields:
    """Tidies the fields."""
    return lead.normalise(config.name, config.phone, config.email)


async def find_contact(config: FindContact, _: Context) -> Fields:
    """Looks the phone up."""
    return lead.find_contact(config.phone)


async def set_defaults(config: SetDefaults, _: Context) -> Fields:
    """Gives what a new lead has."""
    return lead.set_defaults(config.name)


async def get_deal(config: GetDeal, _: Context) -> Fields:
    """Gives the deal."""
    return lead.get_deal(config.deal)


async def remember(config: Remember, _: Context) -> Fields:
    """Keeps the person's last lead."""
    return lead.remember(config.phone, config.lead_id)


async def notify(config: Notify, _: Context) -> Fields:
    """Gives the message."""
    return lead.notify(config.name, config.lead_id)


C = TypeVar("C", bound=Config)


def declared(
    config: type[C], handler: Callable[[C, Context], Awaitable[Fields]]
) -> Module[Any, Any]:
    """The declaration of one step."""
    return Module(
        name=f"lead.{handler.__name__.replace('_', '-')}",
        version=1,
        summary=str(handler.__doc__),
        category="site",
        icon="box",
        effect="idempotent",
        config=config,
        output=Fields,
        handler=handler,
        examples=(),
    )


modules = (
    declared(Normalise, normalise),
    declared(FindContact, find_contact),
    declared(SetDefaults, set_defaults),
    declared(GetDeal, get_deal),
    declared(Remember, remember),
    declared(Notify, notify),
)
