"""Many requests of a source become one, whose document is the list of theirs.

Which ones is decided here, from what waits; the store settles it at once for all of them, and
refuses where another node was quicker with one. Each of them ends as completed, and its journal
names the run that it went on in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from beltline.core.events import Journal, RunCompleted, RunStarted
from beltline.core.explanation import moment
from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.definition.buffering import Collect
from beltline.engine.ids import RunIds, id_of, time_of
from beltline.engine.ports import Store
from beltline.engine.records import (
    Acceptance,
    Collection,
    HeldFilter,
    JournalRow,
    NewRequest,
    NewRun,
    StoredRequest,
)


class Collector:
    """Collects what waits in buffers. `newest` gives the version and process to go through."""

    def __init__(
        self,
        store: Store,
        ids: RunIds,
        newest: Callable[[str], tuple[int, Process]],
        expect: Callable[[int], None],
        limits: Limits,
    ) -> None:
        self._store = store
        self._ids = ids
        self._newest = newest
        self._expect = expect
        self._limits = limits

    async def collect(
        self, source: str, collect: Collect, processes: Mapping[str, int], now: int
    ) -> int | None:
        """Makes runs of all that may be collected at `now`; gives the time from which more may be
        (None: when more has come).
        """
        times = []
        for process in processes:
            at = await self._of_process(source, process, collect, now)
            if at is not None:
                times.append(at)
        return min(times, default=None)

    async def _of_process(
        self, source: str, process: str, collect: Collect, now: int
    ) -> int | None:
        while True:
            filter = HeldFilter(source, process=process)
            waiting = await self._store.waiting(filter, collect.most)
            if not waiting:
                return None
            oldest = min(time_of(one.key) for one in waiting)
            if len(waiting) < collect.most and now < oldest + collect.or_after_ms:
                return oldest + collect.or_after_ms
            requests = await self._store.requests([one.key for one in waiting])
            together = self._fitting(requests)
            if await self._store.collect(self._collection(source, process, together, now)):
                self._expect(now)

    def _fitting(self, requests: list[StoredRequest]) -> list[StoredRequest]:
        """As many as make a document of a size that runs may have; at least one."""
        room = self._limits.document_bytes // 2  # the steps add theirs
        fitting: list[StoredRequest] = []
        for request in requests:
            room -= len(request.body) + 1
            if room < 0 and fitting:
                break
            fitting.append(request)
        return fitting

    def _collection(
        self, source: str, name: str, requests: list[StoredRequest], now: int
    ) -> Collection:
        version_id, process = self._newest(name)
        key = self._ids.new_key(now)
        meta = {
            "id": id_of(key),
            "source": source,
            "time": moment(now),
            "requests": [id_of(request.key) for request in requests],
        }
        request = NewRequest(
            key=key,
            source=source,
            process=name,
            accepted_at=now,
            body=b"[" + b",".join(request.body for request in requests) + b"]",
            meta=msgspec.json.encode(meta),
        )
        run = NewRun(key, version_id, "waiting", now, owned=False)
        went_on = RunCompleted({"run": id_of(key)}, f"collected into the run {id_of(key)}")
        entry = Journal.encode(now, [RunStarted(name, process.version, ()), went_on])
        return Collection(
            Acceptance(request, run),
            [NewRun(one.key, version_id, "completed", None, owned=False) for one in requests],
            [JournalRow(one.key, 0, entry) for one in requests],
        )
