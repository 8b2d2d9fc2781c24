"""References to secrets: files name them, `"${SITE_FORM_SECRET}"`, and never hold them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.shape import kind_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,199})\}\Z")
_NEAR_REFERENCE = re.compile(r"\$\{?\s*([A-Za-z_][A-Za-z0-9_]{0,199})\s*\}?\Z")


class SecretRef(msgspec.Struct, frozen=True):
    """The name of a secret; what it stands for is looked up where it is used."""

    name: str


def is_secret_name(name: str) -> bool:
    """Whether a file can name a secret so."""
    return _NAME.match(name) is not None


def read_secret(report: Report, value: Any, place: Place, what: str) -> SecretRef | None:
    """A reference to a secret. A secret that is written out is an error: files are kept in git."""
    if not isinstance(value, str):
        report.error(
            place, f"{what} must name a secret, not be {kind_of(value)}", 'Write "${NAME}".'
        )
        return None
    found = _REFERENCE.match(value)
    if found is not None:
        return SecretRef(found[1])
    near = _NEAR_REFERENCE.match(value.strip())
    report.error(
        place,
        f"{what} must name a secret, not hold it",
        f'Write "${{{near[1]}}}".'
        if near is not None
        else 'Write "${NAME}", and let the hub know NAME: `beltline secret set NAME`.',
    )
    return None
