"""Operations on the modules that a hub has."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.catalog.schema import module_schema
from beltline.core.explanation import moment
from beltline.definition.finding import nearest


class Carried(msgspec.Struct, frozen=True):
    """How calls of a name reach their handler: `event` in the hub itself, else the `origin` of the
    worker. `worker` is what the one that answered last calls itself, `heard_at` when that was, both
    as this node knows it since its start.
    """

    transport: str = "event"
    origin: str | None = None
    worker: str | None = None
    heard_at: str | None = None


class ModuleSummary(msgspec.Struct, frozen=True):
    """A module in a list."""

    name: str
    version: int
    summary: str
    category: str
    icon: str
    effect: str
    connection: str | None
    carried: Carried


class BoundName(msgspec.Struct, frozen=True):
    """A further name that `beltline.toml` gives a module (`name@version`)."""

    name: str
    module: str
    carried: Carried


class ModuleList(msgspec.Struct, frozen=True):
    """All modules, by name and version, and the further names that are bound to them."""

    modules: list[ModuleSummary]
    bound: list[BoundName]


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
                _carried(call.hub, module.pinned, module.pinned),
            )
            for module in call.hub.catalog
        ],
        [
            BoundName(name, pinned, _carried(call.hub, name, pinned))
            for name, pinned in sorted(call.hub.catalog.aliases().items())
        ],
    )


def _carried(hub: Hub, name: str, pinned: str) -> Carried:
    remote = hub.catalog.remote(name, pinned)
    if remote is None:
        return Carried()
    address = urlsplit(remote.address)  # the path may hold what nobody but the operator should see
    origin, heard = f"{address.scheme}://{address.netloc}", hub.workers.last(remote.name)
    if heard is None:
        return Carried(remote.transport, origin)
    return Carried(remote.transport, origin, heard.version or None, moment(heard.at))


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
