"""Operations on the modules that a hub has."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.api.access import Role
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.catalog.schema import module_schema
from beltline.definition.finding import nearest


class ModuleSummary(msgspec.Struct, frozen=True):
    """A module in a list."""

    name: str
    version: int
    summary: str
    category: str
    icon: str
    effect: str
    connection: str | None


class ModuleList(msgspec.Struct, frozen=True):
    """All modules, by name and version."""

    modules: list[ModuleSummary]


@operation(needs=Role.VIEWER, answer=ModuleList)
async def list_modules(call: Call[Nothing, Nothing]) -> ModuleList:
    """Lists the modules."""
    return ModuleList(
        [
            ModuleSummary(
                module.name,
                module.version,
                module.summary,
                module.category,
                module.icon,
                module.effect,
                module.connection,
            )
            for module in call.hub.catalog
        ]
    )


@operation(needs=Role.VIEWER, answer=dict[str, Any], problems=(404,))
async def show_module(call: Call[Nothing, Nothing]) -> dict[str, Any]:
    """Shows a module with the schemas of its parameters and its result."""
    name, catalog = call.path["name"], call.hub.catalog
    module = catalog.module(name)
    if module is None:
        near = nearest(name[:200], catalog.names())
        hint = f" Did you mean {near!r}?" if near else ""
        raise Problem(404, "no-such-module", f"There is no module of this name.{hint}")
    return module_schema(module)
