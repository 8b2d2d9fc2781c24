"""The part of the simulated store about requests that started nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from beltline.engine.ids import key_at
from beltline.engine.verdict_store import Verdict, VerdictFilter
from tests.simulation.disk import Disk


class SimulatedVerdicts:
    """Fulfils `engine.verdict_store.VerdictStore` over the disk of whoever inherits it."""

    _disk: Disk

    async def _read(self, look: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def _write(self, work: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        def keep() -> None:
            for verdict in verdicts:
                self._disk.verdicts.setdefault(verdict.key, verdict)

        await self._write(keep)

    async def verdicts(self, filter: VerdictFilter, limit: int) -> list[Verdict]:
        def fits(one: Verdict) -> bool:
            return (
                filter.source in (None, one.source)
                and filter.outcome in (None, one.outcome)
                and (filter.since is None or one.key >= key_at(filter.since))
                and (filter.until is None or one.key < key_at(filter.until))
                and (filter.before is None or one.key < filter.before)
            )

        def look() -> list[Verdict]:
            newest = sorted(self._disk.verdicts.values(), key=lambda one: one.key, reverse=True)
            page = [one for one in newest if fits(one)][:limit]
            return [msgspec.structs.replace(one, body=None) for one in page]

        found: list[Verdict] = await self._read(look)
        return found

    async def verdict(self, key: bytes) -> Verdict | None:
        found: Verdict | None = await self._read(lambda: self._disk.verdicts.get(key))
        return found

    async def settle_verdict(self, key: bytes, settled_as: bytes, by: str) -> None:
        def settle() -> None:
            if key in self._disk.verdicts:
                self._disk.verdicts[key] = msgspec.structs.replace(
                    self._disk.verdicts[key], settled_as=settled_as, settled_by=by
                )

        await self._write(settle)

    async def purge_verdicts(self, before: int, most: int, limit: int) -> int:
        def purge() -> int:
            kept: dict[str, int] = {}
            gone = []
            for key in sorted(self._disk.verdicts, reverse=True):
                source = self._disk.verdicts[key].source
                kept[source] = kept.get(source, 0) + 1
                if key < key_at(before) or kept[source] > most:
                    gone.append(key)
            for key in gone[:limit]:
                del self._disk.verdicts[key]
            return len(gone[:limit])

        number: int = await self._write(purge)
        return number
