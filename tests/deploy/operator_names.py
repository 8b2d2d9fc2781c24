"""The names that files of an operator may use, taken from the program itself.

A variable that no setting has is ignored by the hub, and a probe of an address that is not there
never succeeds; neither is seen before it matters.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beltline.api.routes import ROUTES
from beltline.settings import Settings

PREFIX = "BELTLINE_"


def variables() -> set[str]:
    """Every `BELTLINE_SECTION_NAME` that is a setting."""
    return {
        f"{PREFIX}{section.name}_{setting.name}".upper()
        for section in msgspec.structs.fields(Settings)
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct)
        for setting in msgspec.structs.fields(section.type)
    }


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Those of the hub's variables that are no setting."""
    return sorted(name for name in names if name.startswith(PREFIX) and name not in variables())


def addresses() -> set[str]:
    """Every address that answers a GET."""
    return {endpoint.path for endpoint in ROUTES if endpoint.method == "GET"}
