"""The published processes of a simulation."""

from __future__ import annotations

from collections.abc import Iterable

from beltline.core.model import Process
from beltline.engine.records import StoredVersion
from tests.simulation import workload
from tests.simulation.scheduler import Scheduler


class SimulatedProcesses:
    """Fulfils `engine.loader.Processes`; reading a definition takes its time."""

    def __init__(self, versions: list[StoredVersion], scheduler: Scheduler) -> None:
        self._versions = versions
        self._scheduler = scheduler

    def usable(self, names: Iterable[str]) -> dict[str, int]:
        """The newest versions."""
        newest = {version.process: version.id for version in self._versions}
        return {name: newest[name] for name in names if name in newest}

    def newest(self, name: str) -> tuple[int, Process]:
        """The newest version of a process."""
        stored = self._versions[self.usable([name])[name] - 1]
        return stored.id, workload.compiled(stored.text, stored.process, stored.version)

    async def by_id(self, version_id: int) -> Process:
        """The process of a version."""
        await self._scheduler.pause()
        stored = self._versions[version_id - 1]
        return workload.compiled(stored.text, stored.process, stored.version)
