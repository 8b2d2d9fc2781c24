"""The processes that this node knows: published versions, compiled once."""

from __future__ import annotations

from collections.abc import Collection

from beltline.core.model import Process
from beltline.definition.finding import Finding
from beltline.definition.modules import ModuleIndex
from beltline.definition.process import read_process
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import Clock, Format, NotFound, Store, StoredVersion


class Refusal(Exception):
    """The author: the definition does not check. `findings` say where and what to write."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


class ProcessBook:
    """Publishes, loads and keeps compiled processes. The store is the truth; a version never
    changes, so that what is compiled once stays right.
    """

    def __init__(
        self, store: Store, modules: ModuleIndex, connections: Collection[str], clock: Clock
    ) -> None:
        self._store = store
        self._modules = modules
        self._connections = connections
        self._clock = clock
        self._by_id: dict[int, Process] = {}
        self._newest: dict[str, tuple[int, Process]] = {}
        self._unusable: dict[str, str] = {}

    async def load(self) -> dict[str, str]:
        """Compiles the newest version of every process; gives those that cannot be used, with the
        reason.
        """
        for stored in await self._store.newest_versions():
            try:
                process = self._compile(stored)
            except VersionUnusable as unusable:
                self._unusable[stored.process] = str(unusable)
            else:
                self._newest[stored.process] = (stored.id, process)
        return dict(self._unusable)

    async def publish(
        self, name: str, text: str, format: Format, file: str
    ) -> tuple[StoredVersion, list[Finding]]:
        """Checks a definition and stores it as the newest version, unless it is that already.

        Gives the version and the warnings. Raises `Refusal`; the last good version stays then.
        """
        checked = read_process(
            text,
            name=name,
            file=file,
            modules=self._modules,
            connections=self._connections,
            format=format,
        )
        if checked.process is None:
            raise Refusal(checked.findings)
        stored = await self._store.publish(name, format, text, self._clock.now())
        self._unusable.pop(name, None)
        self._newest[name] = (stored.id, self._compile(stored))
        return stored, checked.findings

    def newest(self, name: str) -> tuple[int, Process]:
        """The version id and the process that new requests go through. Raises `NotFound`, or
        `VersionUnusable`.
        """
        found = self._newest.get(name)
        if found is not None:
            return found
        if name in self._unusable:
            raise VersionUnusable(self._unusable[name])
        raise NotFound(f"there is no process {name!r}")

    def names(self) -> list[str]:
        """All published processes, usable or not."""
        return sorted({*self._newest, *self._unusable})

    async def by_id(self, version_id: int) -> Process:
        """The process of a run's version. Raises `VersionUnusable`."""
        process = self._by_id.get(version_id)
        if process is None:
            try:
                stored = await self._store.version_by_id(version_id)
            except NotFound as missing:
                raise VersionUnusable(str(missing)) from missing
            process = self._compile(stored)
        return process

    def _compile(self, stored: StoredVersion) -> Process:
        known = self._by_id.get(stored.id)
        if known is not None:
            return known
        file = f"{stored.process} version {stored.version}"
        checked = read_process(
            stored.text,
            name=stored.process,
            file=file,
            modules=self._modules,
            connections=None,  # a connection may have gone since; its steps fail, not the run
            version=stored.version,
            format=stored.format,
        )
        if checked.process is None:
            errors = [str(f) for f in checked.findings if f.severity == "error"]
            raise VersionUnusable("; ".join(errors[:3]))
        self._by_id[stored.id] = checked.process
        return checked.process
