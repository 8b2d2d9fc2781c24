"""Functions of the hub beside JSONata's own, for what nearly every lead needs.

Each takes short texts and gives a text, or "" where there is nothing to give; the expression then
gives nothing, so that the key is left out. `FUNCTIONS` describes them for the reference page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec


class FunctionDoc(msgspec.Struct, frozen=True):
    """One function: how it is called, what it gives, examples as (call, result), and its body."""

    name: str
    signature: str
    summary: str
    examples: tuple[tuple[str, str], ...]
    call: Callable[..., str]


_LONGEST: Final = 1_000  # characters; no phone number, address or date is longer
_DIGITS: Final = re.compile(r"[0-9]+")
_PHONE: Final = re.compile(r"[0-9+()./\s\xa0\u2010-\u2015-]+")


def _short_text(value: Any) -> str:
    text = str(value)
    return text.strip() if len(text) <= _LONGEST else ""


def phone(value: Any, country: Any = None) -> str:
    """The number in international form: + and 8 to 15 digits; "" where it is none.

    `country` is the calling code for numbers without one, 7 by default; there a leading 8 stands
    for it, as people write it in Russia and Kazakhstan.
    """
    text = _short_text(value)
    # Without a calling code nobody can say whose a number is, so the default is written down.
    code = str(country) if country is not None else "7"
    if not _PHONE.fullmatch(text) or not _DIGITS.fullmatch(code) or len(code) > 3:
        return ""
    digits = "".join(_DIGITS.findall(text))
    if not text.startswith("+"):
        if digits.startswith("00"):
            digits = digits[2:]
        elif code == "7" and len(digits) == 11 and digits[0] == "8":
            digits = "7" + digits[1:]
        elif not (digits.startswith(code) and len(digits) > 10):
            digits = code + digits.removeprefix("0")
    if code == "7" and digits.startswith("7") and len(digits) != 11:
        return ""
    return f"+{digits}" if 8 <= len(digits) <= 15 and digits[0] != "0" else ""


_EMAIL: Final = re.compile(
    r"[^\s@<>()\[\],;:\"\\]{1,64}@((?!-)[\w-]{1,63}(?<!-)\.)+(?!-)[\w-]{2,63}(?<!-)"
)


def email(value: Any, _option: Any = None) -> str:
    """The address without space around it and in small letters; "" where it is none."""
    text = _short_text(value).removeprefix("mailto:").lower()
    if len(text) > 254 or ".." in text or text.startswith("."):
        return ""
    return text if _EMAIL.fullmatch(text) and ".@" not in text else ""


_YEAR_FIRST: Final = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?=$|[T\s])", re.ASCII)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})(?=$|[T\s,])", re.ASCII)


def date_of(value: Any, order: Any = None) -> str:
    """The date as YYYY-MM-DD; "" where there is none.

    Takes a text that begins with 2026-12-31, 31.12.2026, 31/12/2026 or 20261231, or Unix
    milliseconds (the date in UTC). With `order` "month" a text is read as 12/31/2026.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
        except (OverflowError, ValueError):
            return ""
        return moment.date().isoformat()
    text = _short_text(value)
    if len(text) == 8 and text.isascii() and text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    found = _YEAR_FIRST.match(text)
    if found is not None:
        year, month, day = found.groups()
    else:
        found = _DAY_FIRST.match(text)
        if found is None:
            return ""
        day, month, year = found.groups()
        if order == "month":
            day, month = month, day
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""


FUNCTIONS: Final[Mapping[str, FunctionDoc]] = {
    function.name: function
    for function in (
        FunctionDoc(
            "phone",
            "$phone(text, country?)",
            "The phone number in international form, nothing where it is none. country is the"
            " calling code of numbers without one, 7 where it is left out.",
            (
                ('$phone("8 (900) 123-45-67")', "+79001234567"),
                ('$phone("030 901820", 49)', "+4930901820"),
            ),
            phone,
        ),
        FunctionDoc(
            "email",
            "$email(text)",
            "The mail address in small letters and without space, nothing where it is none.",
            (('$email(" Ann@Example.COM ")', "ann@example.com"),),
            email,
        ),
        FunctionDoc(
            "date",
            "$date(value, order?)",
            "The date as YYYY-MM-DD, from a text in a usual form or from Unix milliseconds;"
            ' nothing where it is none. order "month" reads 12/31/2026.',
            (('$date("31.12.2026")', "2026-12-31"), ("$date(0)", "1970-01-01")),
            date_of,
        ),
    )
}
