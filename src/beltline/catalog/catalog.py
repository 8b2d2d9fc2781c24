"""The catalogue: all modules that a hub has, as a value.

It is found once and handed down, never global, so that a test or a tenant can have its own, and
another set can be tried beside the running one. A step names a module as `name` (the highest
version), as `name@version`, or by a name that `beltline.toml` binds to one of these.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from beltline.catalog.invocation import Invocation, invocation_of
from beltline.catalog.parameters import check_parameters
from beltline.core.engine_steps import ENGINE_STEPS
from beltline.core.limits import LIMITS
from beltline.definition.connection import RATE, rate_per_s
from beltline.definition.finding import nearest
from beltline.definition.modules import ModuleEntry
from beltline.sdk import Module

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*(\.[a-z][a-z0-9]*(-[a-z0-9]+)*)*")


_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TRANSPORTS = {
    "http": "http",
    "https": "http",
    **dict.fromkeys(("nats", "tls", "amqp", "amqps", "redis", "rediss"), "queue"),
}


class CatalogError(Exception):
    """The modules or their bindings do not fit together; the text says which, and what to do."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`limits` of a module, in the words of a connection file's."""

    rate: Annotated[str, msgspec.Meta(pattern=RATE.pattern)] | None = None
    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and rate_per_s(self.rate) is None:
            raise ValueError("rate must be above 0: write it like 2/s")
        if self.burst is not None and self.rate is None:
            raise ValueError("burst needs a rate: add one like 2/s")


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[modules.NAME]` of `beltline.toml`: the module that the name stands for (`use`; without
    it the module of that name), how it is reached: `event`, in this process, or the address of a
    worker (`http`) or of a broker (`queue`), and how much of it there may be. `concurrency` bounds
    the calls that are under way at a worker; `secret` (`${NAME}`) names what is shown to it as a
    bearer token, or to the broker.
    """

    use: str = ""
    transport: str = ""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    secret: str = ""
    limits: LimitSettings = LimitSettings()


class Remote(msgspec.Struct, frozen=True):
    """A module that a worker serves: the bound name, the worker's address, or that of the broker
    which its calls go by; how many calls may be under way there (None: as the limit says), and the
    name of the secret that is asked for.
    """

    name: str
    transport: str
    address: str
    concurrency: int | None = None
    secret: str = ""


class Catalog:
    """Modules by name. Immutable; it fulfils `definition.modules.ModuleIndex`."""

    __slots__ = ("_aliases", "_entries", "_invocations", "_newest", "_remotes")

    def __init__(
        self,
        modules: Iterable[Module[Any, Any]] = (),
        aliases: Mapping[str, str] = MappingProxyType({}),
        remotes: Mapping[str, Remote | None] = MappingProxyType({}),
    ) -> None:
        """`aliases` gives further names, each for a `name` or a `name@version`. `remotes` tells of
        names how they are reached: by a worker, or in this process (None).

        Raises `CatalogError` where two modules have one name and version, or where an alias leads
        to no module.
        """
        self._invocations: dict[str, Invocation] = {}
        self._entries: dict[str, ModuleEntry] = {}
        self._newest: dict[str, str] = {}
        for module in sorted(modules, key=lambda one: (one.name, one.version)):
            _check_name(module)
            if module.pinned in self._invocations:
                raise CatalogError(
                    f"two modules are {module.pinned}: rename one, or raise its version"
                )
            self._invocations[module.pinned] = invocation_of(module)
            self._entries[module.pinned] = _entry(module)
            self._newest[module.name] = module.pinned
        self._aliases = {alias: self._target(alias, use) for alias, use in aliases.items()}
        self._remotes = dict(remotes)

    def __iter__(self) -> Iterator[Module[Any, Any]]:
        """Every module, by name and version."""
        return (invocation.module for invocation in self._invocations.values())

    def __len__(self) -> int:
        return len(self._invocations)

    def find(self, name: str) -> ModuleEntry | None:
        """What a definition needs to know of the module that a step names, or None."""
        pinned = self._pinned(name)
        if pinned is None:
            return None
        remote = self.remote(name, pinned)
        if remote is None:
            return self._entries[pinned]
        return msgspec.structs.replace(self._entries[pinned], transport=remote.transport)

    def names(self) -> Collection[str]:
        """Every name that a step can use, without versions."""
        return sorted({*self._newest, *self._aliases})

    def module(self, name: str) -> Module[Any, Any] | None:
        """The declaration, by any name that `find` knows."""
        pinned = self._pinned(name)
        return None if pinned is None else self._invocations[pinned].module

    def invocation(self, pinned: str) -> Invocation | None:
        """The module that a published step is pinned to (`name@version`), ready to be called."""
        return self._invocations.get(pinned)

    def remote(self, name: str, pinned: str) -> Remote | None:
        """The worker that serves a step, which names its module `name` and is pinned to `pinned`;
        None where this process does. What is bound to the step's own word counts first.
        """
        if name in self._remotes:
            return self._remotes[name]
        module_name = pinned.partition("@")[0]
        return None if module_name in self._aliases else self._remotes.get(module_name)

    def aliases(self) -> dict[str, str]:
        """The further names of modules, each with what it stands for (`name@version`)."""
        return dict(self._aliases)

    def remotes(self) -> list[Remote]:
        """All workers that names are bound to."""
        return [remote for _, remote in sorted(self._remotes.items()) if remote is not None]

    def bound(self, bindings: Mapping[str, Binding]) -> Catalog:
        """This catalogue with further names for its modules, and with what carries them.

        A binding may take the name of a module and so put another one in its place. A name that has
        an address and no module here stands for a module of the worker alone, of which nothing is
        known. Raises `CatalogError` where a binding leads to no module, or nowhere.
        """
        targets = {
            alias: self._pinned(binding.use) or binding.use
            for alias, binding in bindings.items()
            if binding.use
        }
        remotes = {name: _remote(name, one) for name, one in bindings.items() if one.transport}
        undeclared: list[Module[Any, Any]] = []
        for name, binding in bindings.items():
            pinned = targets.get(name) or self._pinned(name)
            if binding == Binding():
                raise CatalogError(
                    f"[modules.{name}] says neither use nor transport nor limits: write one"
                )
            if pinned is None and remotes.get(name) is None:
                raise CatalogError(f"[modules.{name}]: no module has this name; say which to use")
            if pinned in ENGINE_STEPS and remotes.get(name) is not None:
                raise CatalogError(f"[modules.{name}]: {pinned} is run by the engine itself")
            if pinned is None:
                undeclared.append(_undeclared(name))
        return Catalog(
            [*self, *undeclared], {**self._aliases, **targets}, {**self._remotes, **remotes}
        )

    def restricted(self, names: Collection[str]) -> Catalog:
        """This catalogue with the named modules only, in all their versions.

        Raises `CatalogError` for a name that no module has.
        """
        unknown = sorted(set(names) - self._newest.keys())
        if unknown:
            raise CatalogError(f"no module has the name {unknown[0]!r}")
        kept = [module for module in self if module.name in names]
        pinned = {module.pinned for module in kept}
        aliases = {alias: use for alias, use in self._aliases.items() if use in pinned}
        return Catalog(kept, aliases, self._remotes)

    def extended(self, modules: Iterable[Module[Any, Any]]) -> Catalog:
        """This catalogue with further modules. Raises `CatalogError` where two are the same."""
        return Catalog([*self, *modules], self._aliases, self._remotes)

    def _pinned(self, name: str) -> str | None:
        if name in self._aliases:
            return self._aliases[name]
        return name if name in self._invocations else self._newest.get(name)

    def _target(self, alias: str, use: str) -> str:
        pinned = use if use in self._invocations else self._newest.get(use)
        if pinned is None:
            near = nearest(use, self._newest)
            hint = f"; did you mean {near!r}?" if near else ""
            raise CatalogError(f"[modules.{alias}] uses {use!r}, and no module has this name{hint}")
        return pinned


def _remote(name: str, binding: Binding) -> Remote | None:
    address = binding.transport
    if address == "event":
        return None
    try:
        parts = urlsplit(address)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    transport = _TRANSPORTS.get(scheme)
    if transport is None or not host:
        shown = "" if "@" in address else f" {address.partition('?')[0][:100]!r}"
        raise CatalogError(
            f"[modules.{name}] has the transport{shown}: write event, the address of a worker, such"
            " as http://127.0.0.1:9000/, or of a broker, such as nats://127.0.0.1:4222"
        )
    if transport == "queue" and binding.concurrency is not None:
        raise CatalogError(
            f"[modules.{name}] concurrency: by a queue it is the worker that bounds its calls;"
            " leave it out here, and give --concurrency to `beltline worker`"
        )
    named = _SECRET.fullmatch(binding.secret)
    if binding.secret and named is None:
        raise CatalogError(f"[modules.{name}] secret: write the name of a secret, ${{NAME}}")
    return Remote(name, transport, address, binding.concurrency, named[1] if named else "")


def _undeclared(name: str) -> Module[Any, Any]:
    """What is known here of a module that only its worker has: nothing."""
    parameters: Any = dict[str, Any]
    return Module(
        name=name,
        version=1,
        summary="Served by a worker, which alone knows its parameters and its result.",
        category="site",
        icon="cloud",
        effect="at-least-once",
        config=parameters,
        output=Any,
        handler=None,
        examples=(),
    )


def _entry(module: Module[Any, Any]) -> ModuleEntry:
    return ModuleEntry(
        pinned=module.pinned,
        effect=module.effect,
        connection_kind=module.connection,
        check=partial(check_parameters, module.config),
    )


def _check_name(module: Module[Any, Any]) -> None:
    if len(module.name) > LIMITS.name_bytes or _NAME.fullmatch(module.name) is None:
        raise CatalogError(
            f"the module name {module.name[: LIMITS.name_bytes]!r} is not allowed: write small"
            " letters, digits and single dashes, in parts that are joined by dots"
        )
    if module.batch is not None and not inspect.iscoroutinefunction(module.batch):
        raise CatalogError(
            f"the batch handler of {module.name!r} is not an `async def`: make it one"
        )
    if module.batch_most < 1 or module.requests < 1:
        raise CatalogError(
            f"`batch_most` and `requests` of the module {module.name!r} are at least 1"
        )
    if module.version < 1:
        raise CatalogError(f"the module {module.name!r} has the version {module.version}: write 1")
