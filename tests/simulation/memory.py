"""The part of the simulated store about what modules, and the hub itself, remember."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.disk import Disk, joined


class SimulatedMemory:
    """The values of `engine.ports.Store`, over the disk of whoever inherits it."""

    _disk: Disk

    async def _read(self, look: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def _write(self, work: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def value(self, space: str, key: str, now: int) -> bytes | None:
        value, until = await self._read(
            lambda: self._disk.values.get(joined(space, key), (None, None))
        )
        return value if until is None or until > now else None

    async def values(self, space: str, now: int) -> dict[str, bytes]:
        def those() -> dict[str, bytes]:
            begin = joined(space, "")
            return {
                name[len(begin) :]: value
                for name, (value, until) in self._disk.values.items()
                if name.startswith(begin) and (until is None or until > now)
            }

        found: dict[str, bytes] = await self._read(those)
        return found

    async def put_value(self, space: str, key: str, value: bytes, expires_at: int | None) -> None:
        await self._write(
            lambda: self._disk.values.__setitem__(joined(space, key), (value, expires_at))
        )

    async def put_value_if_absent(
        self, space: str, key: str, value: bytes, expires_at: int | None, now: int
    ) -> bytes:
        def put() -> bytes:
            found = self._disk.values.get(joined(space, key))
            if found is None or (found[1] is not None and found[1] <= now):
                self._disk.values[joined(space, key)] = (value, expires_at)
                return value
            return found[0]

        first: bytes = await self._write(put)
        return first

    async def delete_value(self, space: str, key: str, now: int) -> bool:
        found = await self._write(lambda: self._disk.values.pop(joined(space, key), None))
        return found is not None and (found[1] is None or found[1] > now)

    async def purge_values(self, now: int, limit: int) -> int:
        def purge() -> int:
            values = self._disk.values
            expired = [(until, name) for name, (_, until) in values.items() if until is not None]
            gone = [name for until, name in sorted(expired) if until <= now][:limit]
            for name in gone:
                del values[name]
            return len(gone)

        number: int = await self._write(purge)
        return number
