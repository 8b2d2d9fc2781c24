"""Bring a phone number into one form, by the rules of all countries.

A number without a country (`8 916 123-45-67`) is read as one of `region`, and refused where there
is none: which country is meant cannot be guessed. The rules are those of libphonenumber.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from beltline.sdk import Config, Context, Example, Module, Output, Reject, field

_LONGEST = 250  # characters, as the library takes them

Region = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]


class PhoneConfig(Config):
    """The number, and what is expected of it."""

    phone: Annotated[
        str | int,
        field("Phone", "The number as it was written.", examples=["{{ request.phone }}"]),
    ]
    region: Annotated[
        Region | None,
        field(
            "Region",
            "The country of numbers that do not tell theirs, as two letters.",
            examples=["RU"],
        ),
    ] = None
    invalid: Annotated[
        Literal["tell", "reject"],
        field(
            "Invalid",
            "What a number that does not exist gives: a result with `valid` false, or a failure.",
        ),
    ] = "tell"


class PhoneOutput(Output):
    """The number."""

    valid: Annotated[bool, field("Valid", "Whether such a number can exist.")]
    e164: Annotated[str, field("E.164", "With + and country; empty if it is not valid.")] = ""
    digits: Annotated[str, field("Digits", "The same without the +.")] = ""
    international: Annotated[str, field("International", "For people, with its country.")] = ""
    national: Annotated[str, field("National", "For people in its country.")] = ""
    region: Annotated[str, field("Region", "The country, as two letters, where it has one.")] = ""
    extension: Annotated[str, field("Extension", "What is dialled after it, if anything.")] = ""
    kind: Annotated[
        Literal["mobile", "fixed", "fixed-or-mobile", "other", ""],
        field("Kind", "What the number is; empty if it is not valid."),
    ] = ""
    reason: Annotated[str, field("Reason", "Why it is not valid; empty if it is.")] = ""


def normalise(config: PhoneConfig, context: Context) -> PhoneOutput | Reject:
    """Reads the number. Its rules are read from files at the first use, so it runs in a thread."""
    from beltline.modules.numbering import read_phone

    text = str(config.phone).strip()
    read = "the number is too long" if len(text) > _LONGEST else read_phone(text, config.region)
    if isinstance(read, str):
        return Reject(read) if config.invalid == "reject" else PhoneOutput(valid=False, reason=read)
    return read


module = Module(
    name="phone",
    version=1,
    summary="Bring a phone number into one form.",
    description=(
        "By the rules of libphonenumber for every country: such a number can exist, which does not"
        " tell that somebody answers it. Nothing is guessed: a number that does not tell its"
        " country (with + or 00 of the region) is read as one of `region`."
    ),
    category="data",
    icon="phone",
    effect="idempotent",
    on_repeat="It gives the same result.",
    config=PhoneConfig,
    output=PhoneOutput,
    handler=normalise,
    examples=(
        Example(
            "A Russian number as it is dialled there",
            {"phone": "8 (916) 123-45-67", "region": "RU"},
            {
                "valid": True,
                "e164": "+79161234567",
                "digits": "79161234567",
                "international": "+7 916 123-45-67",
                "national": "8 (916) 123-45-67",
                "region": "RU",
                "extension": "",
                "kind": "mobile",
                "reason": "",
            },
        ),
        Example(
            "A number that does not tell its country",
            {"phone": "8 (916) 123-45-67"},
            {
                "valid": False,
                "e164": "",
                "digits": "",
                "international": "",
                "national": "",
                "region": "",
                "extension": "",
                "kind": "",
                "reason": "the number does not tell its country: give a region, or write it with +",
            },
        ),
    ),
)
