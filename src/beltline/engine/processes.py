"""The processes that this node knows: published versions, compiled once.

Reading a large definition takes a second or two. It happens beside the belt, through the port
`RunAside`, and one at a time, so that many at once do not take the processor from the belt.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from threading import Lock
from typing import Protocol, TypeVar

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.model import Process
from beltline.definition.finding import Finding
from beltline.definition.modules import ModuleIndex
from beltline.definition.process import Checked, read_process
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import Clock, NotFound, Store
from beltline.engine.records import Format, StoredVersion

T = TypeVar("T")


class RunAside(Protocol):
    """Carries out work that takes long without holding up the coroutines beside it, for example
    in a thread (`asyncio.to_thread`).
    """

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """What `work` gives, or raises."""
        ...


async def run_here(work: Callable[[], T], /) -> T:
    """Carries it out at once: for programs that have nothing else to do meanwhile."""
    return work()


class Refusal(Exception):
    """The author: the definition does not check. `findings` say where and what to write."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


class CompiledVersions:
    """Compiled processes by the id of their version: those used last, which together have at most
    `steps_most` steps (and always the very last one). Any thread may use it.
    """

    def __init__(self, steps_most: int) -> None:
        self._steps_most = steps_most
        self._by_id: OrderedDict[int, Process] = OrderedDict()
        self._steps = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id: int) -> Process | None:
        """The process, which counts as used now."""
        with self._lock:
            process = self._by_id.get(id)
            if process is not None:
                self._by_id.move_to_end(id)
            return process

    def put(self, id: int, process: Process) -> None:
        """Keeps it, and lets go of those that were not used for longest."""
        with self._lock:
            if id not in self._by_id:
                self._by_id[id] = process
                self._steps += len(process.steps)
            while self._steps > self._steps_most and len(self._by_id) > 1:
                _, gone = self._by_id.popitem(last=False)
                self._steps -= len(gone.steps)


class ProcessBook:
    """Publishes, loads and keeps compiled processes. The store is the truth; a version never
    changes, so that what is compiled once stays right. `run_aside` is where definitions are read.
    """

    def __init__(
        self,
        store: Store,
        modules: ModuleIndex,
        connections: Collection[str],
        clock: Clock,
        *,
        run_aside: RunAside = run_here,
        steps_most: int = LIMITS.compiled_steps,
    ) -> None:
        self._store = store
        self._modules = modules
        self._connections = connections
        self._clock = clock
        self._run_aside = run_aside
        self._one_at_a_time = Lock()
        self._compiled = CompiledVersions(steps_most)
        self._newest: dict[str, tuple[int, Process]] = {}
        self._unusable: dict[str, str] = {}
        self._looked_at: dict[str, int] = {}  # the newest version of each that was compiled here

    async def load(self) -> dict[str, str]:
        """Compiles the newest version of every process; gives those that cannot be used, with the
        reason.
        """
        await self.refresh()
        return dict(self._unusable)

    async def refresh(self) -> dict[str, str]:
        """Compiles what another program has published since. Gives what cannot be used of it, with
        the reason, once: the last good version of such a process stays.
        """
        unusable: dict[str, str] = {}
        for stored in await self._store.newest_versions():
            if stored.id <= self._looked_at.get(stored.process, -1):
                continue
            try:
                process = await self._compile(stored)
            except VersionUnusable as reason:
                self._looked_at[stored.process] = stored.id
                unusable[stored.process] = self._unusable[stored.process] = str(reason)
            else:
                self._becomes_newest(stored, process)
        return unusable

    async def publish(
        self, name: str, text: str, format: Format, file: str
    ) -> tuple[StoredVersion, list[Finding]]:
        """Checks a definition and stores it as the newest version, unless it is that already.

        Gives the version and the warnings. Raises `Refusal`; the last good version stays then.
        """
        checked = await self._run_aside(lambda: self._read(text, name, format, file))
        if checked.process is None:
            raise Refusal(checked.findings)
        stored = await self._store.publish(name, format, text, self._clock.now())
        process = self._compiled.get(stored.id)
        if process is None:
            process = msgspec.structs.replace(checked.process, version=stored.version)
            self._compiled.put(stored.id, process)
        self._becomes_newest(stored, process)
        return stored, checked.findings

    def _becomes_newest(self, stored: StoredVersion, process: Process) -> None:
        """Unless a newer one was published while this one was read or stored."""
        if stored.id >= self._looked_at.get(stored.process, -1):
            self._looked_at[stored.process] = stored.id
            self._unusable.pop(stored.process, None)
            self._newest[stored.process] = (stored.id, process)

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

    def usable(self, names: Iterable[str]) -> dict[str, int]:
        """The version ids of those of these processes that requests can go through now."""
        return {name: self._newest[name][0] for name in names if name in self._newest}

    def names(self) -> list[str]:
        """All published processes, usable or not."""
        return sorted({*self._newest, *self._unusable})

    async def by_id(self, version_id: int) -> Process:
        """The process of a run's version. Raises `VersionUnusable`."""
        process = self._known(version_id)
        if process is None:
            try:
                stored = await self._store.version_by_id(version_id)
            except NotFound as missing:
                raise VersionUnusable(str(missing)) from missing
            process = await self._compile(stored)
        return process

    def _known(self, version_id: int) -> Process | None:
        process = self._compiled.get(version_id)
        if process is not None:
            return process
        return next((known for id, known in self._newest.values() if id == version_id), None)

    async def _compile(self, stored: StoredVersion) -> Process:
        return await self._run_aside(lambda: self._compiled_once(stored))

    def _compiled_once(self, stored: StoredVersion) -> Process:
        """Runs aside. Many may ask for one version at the same time: the first one reads it."""
        with self._one_at_a_time:
            process = self._compiled.get(stored.id)
            if process is None:
                process = self._compiled_now(stored)
                self._compiled.put(stored.id, process)
            return process

    def _compiled_now(self, stored: StoredVersion) -> Process:
        checked = read_process(
            stored.text,
            name=stored.process,
            file=f"{stored.process} version {stored.version}",
            modules=self._modules,
            connections=None,  # a connection may have gone since; its steps fail, not the run
            version=stored.version,
            format=stored.format,
        )
        if checked.process is None:
            errors = [str(f) for f in checked.findings if f.severity == "error"]
            raise VersionUnusable("; ".join(errors[:3]))
        return checked.process

    def _read(self, text: str, name: str, format: Format, file: str) -> Checked:
        """Runs aside."""
        with self._one_at_a_time:
            return read_process(
                text,
                name=name,
                file=file,
                modules=self._modules,
                connections=self._connections,
                format=format,
            )
