"""Phone numbers by phonenumbers, Python's libphonenumber, for the module `phone`."""

from __future__ import annotations

from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from beltline.modules.phone import PhoneOutput

_KINDS: dict[int, Literal["mobile", "fixed", "fixed-or-mobile"]] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed-or-mobile",
}
_REASONS = {
    NumberParseException.INVALID_COUNTRY_CODE: (
        "the number does not tell its country: give a region, or write it with +"
    ),
    NumberParseException.NOT_A_NUMBER: "this is no phone number",
    NumberParseException.TOO_SHORT_AFTER_IDD: "the number is too short",
    NumberParseException.TOO_SHORT_NSN: "the number is too short",
    NumberParseException.TOO_LONG: "the number is too long",
}


def read_phone(text: str, region: str | None) -> PhoneOutput | str:
    """The number, or why it is none."""
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        return f"there is no region {region}: write two letters, such as RU"
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as wrong:
        return _REASONS.get(wrong.error_type, "this is no phone number")
    if not phonenumbers.is_valid_number(number):
        code = number.country_code or 0
        place = phonenumbers.region_code_for_country_code(code)
        return f"no such number exists in {place} (+{code})"
    written = phonenumbers.format_number
    e164 = written(number, PhoneNumberFormat.E164)
    return PhoneOutput(
        valid=True,
        e164=e164,
        digits=e164.removeprefix("+"),
        international=written(number, PhoneNumberFormat.INTERNATIONAL),
        national=written(number, PhoneNumberFormat.NATIONAL),
        region=phonenumbers.region_code_for_number(number) or "",
        extension=number.extension or "",
        kind=_KINDS.get(phonenumbers.number_type(number), "other"),
    )
