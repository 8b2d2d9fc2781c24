"""What a schedule brings at its times, and by hand: one request for each time, whichever node fires
it.

    due time ──> meta.due ──> request (the file's own) ──> store.fire: its time and the request in
                                                           one transaction
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from beltline.core.explanation import moment
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.core.path import MISSING
from beltline.definition.schedule import ScheduleWay
from beltline.definition.source import Source
from beltline.engine.ids import id_of
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import Acceptance, NewRun
from beltline.sources.reception import NoProcess
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import Offered, check_value, new_request


class Fired(msgspec.Struct, frozen=True):
    """The request of one time; `held` where it waits in its source's buffer."""

    key: bytes
    held: bool


class Firing:
    """Fires the times of a source of the kind `schedule`. Raises as the store does, `NoProcess`,
    and `RequestRefused` where the file gives no request that can be taken.
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        new_key: Callable[[], tuple[bytes, int]],
        newest: Callable[[str], tuple[int, Process]],
        holds: Callable[[Source], Awaitable[bool]],
        limits: Limits,
    ) -> None:
        self._source = source
        self._store = store
        self._new_key = new_key
        self._newest = newest
        self._holds = holds
        self._limits = limits

    async def fired_at(self) -> int | None:
        """The latest time that fired."""
        return await self._store.fired_at(self._source.name)

    async def fire(self, due_at: int) -> Fired | None:
        """Fires the time `due_at`; None where it, or a later one, was fired already."""
        return await self._fire(self._source.name, due_at)

    async def fire_now(self) -> Fired:
        """Fires by hand, once more and beside the schedule, whose times stay what they are."""
        name = f"{self._source.name} by hand"  # no source can have this name
        while True:
            last = await self._store.fired_at(name) or 0
            fired = await self._fire(name, max(self._new_key()[1], last + 1))
            if fired is not None:
                return fired

    async def _fire(self, schedule: str, due_at: int) -> Fired | None:
        held = await self._holds(self._source)
        acceptance = self._acceptance(due_at, held)
        if not await self._store.fire(schedule, due_at, acceptance):
            return None
        return Fired(acceptance.request.key, held)

    def _acceptance(self, due_at: int, held: bool) -> Acceptance:
        key, at = self._new_key()
        due = {"due": moment(due_at)}
        meta = {"id": id_of(key), "source": self._source.name, "time": moment(at), **due}
        value = self._value(meta, at)
        offered = Offered(value, check_value(value, self._limits), at, key, due)
        request = new_request(self._source, offered, held=held, limits=self._limits)
        if held:
            return Acceptance(request)
        try:
            version_id, _ = self._newest(request.process)
        except (NotFound, VersionUnusable) as why:
            raise NoProcess(f"there is no process to start: {why}") from why
        return Acceptance(request, NewRun(key, version_id, "moving", at, owned=False))

    def _value(self, meta: dict[str, Any], at: int) -> Any:
        way = self._source.way
        assert isinstance(way, ScheduleWay)
        try:
            value = way.request.resolve({"meta": meta}, Scope(at, meta["id"], 0))
        except ExpressionFailed as failed:
            raise RequestRefused(
                422, "no-request", f"The request of the schedule cannot be told: {failed}"
            ) from failed
        if value is MISSING:
            raise RequestRefused(422, "no-request", "The schedule's `request` gives nothing.")
        return value
