"""Operations on what a hub has: its modules and its connections."""

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


class ConnectionLimitsView(msgspec.Struct, frozen=True):
    """What the outside system bears; null: no limit."""

    rate_per_s: float | None
    burst: int | None
    concurrency: int | None
    batch: int | None


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection. Of its secret only this is told: the name, and whether it is set."""

    connection: str
    kind: str
    address: str
    secret: str | None
    secret_is_set: bool
    private_addresses: str
    limits: ConnectionLimitsView


class ConnectionList(msgspec.Struct, frozen=True):
    """All connections, by name."""

    connections: list[ConnectionView]


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


@operation(needs=Role.VIEWER, answer=ConnectionList)
async def list_connections(call: Call[Nothing, Nothing]) -> ConnectionList:
    """Lists the connections."""
    hub = call.hub
    return ConnectionList(
        [
            ConnectionView(
                connection=name,
                kind=file.kind,
                address=file.address,
                secret=None if file.secret is None else file.secret.name,
                secret_is_set=file.secret is not None and bool(hub.secret(file.secret.name)),
                private_addresses=file.private_addresses,
                limits=ConnectionLimitsView(**msgspec.structs.asdict(file.limits)),
            )
            for name, file in sorted(hub.connections.items())
        ]
    )
