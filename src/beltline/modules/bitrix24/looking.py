"""By what people and companies are looked for: a phone number, and else an e-mail address."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.bitrix24.client import rejected
from beltline.sdk import Config, field


class FindConfig(Config):
    """By what to find the entry."""

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
            "The address. It is asked for where nobody has the phone number.",
            examples=["{{ request.email }}"],
        ),
    ] = None


def asked_ways(config: FindConfig) -> list[tuple[str, str]]:
    """What to ask for, one after the other, as (kind, value). Raises `PortalFailed` for nothing."""
    given = (("PHONE", str(config.phone or "").strip()), ("EMAIL", (config.email or "").strip()))
    asked = [(kind, value) for kind, value in given if value]
    if not asked:
        raise rejected("give `phone` or `email`: both are empty")
    return asked
