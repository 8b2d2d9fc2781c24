"""The way in of every request that somebody brings: a sender at `/in/`, a feed, a person. What the
hub makes by itself, at a schedule's time or of a batch, is stored where it is made.

    held: room in the buffer ──> intake ... commit ──> counted
    else: the process to start ──> intake ... commit

A repeat gets its first, and needs no room: its first has its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from beltline.core.model import Process
from beltline.definition.source import Source
from beltline.engine.backlogs import Backlogs
from beltline.engine.buffers import holds_back
from beltline.engine.fresh import Fresh
from beltline.engine.intake import Intake
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import NewRequest, Repeat
from beltline.engine.work import Accepted, Refused


class NoProcess(Exception):
    """The operator: there is no process that could carry the request. The text says why."""


class BacklogFull(Exception):
    """The world: as many requests wait already as the source's backlog holds. By `excess` of them
    it is too full for one more.
    """

    def __init__(self, excess: int) -> None:
        super().__init__("as many requests wait already as the source's backlog holds")
        self.excess = excess


class Reception:
    """Takes in the requests of all sources on one node. Raises `StoreAway` and `StoreFull` as the
    store does.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        newest: Callable[[str], tuple[int, Process]],
        source_states: Fresh[dict[str, str]],
        backlogs: Backlogs,
    ) -> None:
        self._store = store
        self._intake = intake
        self._newest = newest
        self._source_states = source_states
        self._backlogs = backlogs

    def new_key(self) -> tuple[bytes, int]:
        """The key of the next request, and the moment it came in (Unix ms)."""
        return self._intake.new_key()

    async def holds_back(self, source: Source) -> bool:
        """Whether the source's requests go into its buffer now, as of the last second."""
        return holds_back(source, (await self._source_states.get()).get(source.name))

    def process(self, name: str) -> tuple[int, Process]:
        """The version that a request starts now, with its id. Raises `NoProcess`."""
        try:
            return self._newest(name)
        except (NotFound, VersionUnusable) as why:
            raise NoProcess(f"there is no process to start: {why}") from why

    async def take_in(self, source: Source, request: NewRequest) -> Accepted | Repeat | Refused:
        """Takes a request in. Raises `BacklogFull` and `NoProcess`."""
        if not request.held:
            return await self._intake.submit(request, *self.process(request.process))
        excess = await self._backlogs.excess(source)
        if excess:
            repeat = None if request.identity is None else await self._store.repeated(request)
            if repeat is None:
                raise BacklogFull(excess)
            return repeat
        with self._backlogs.coming(source):
            return self._counted(source, await self._intake.submit(request, 0, None))

    async def take_in_some(
        self, source: Source, requests: Sequence[NewRequest], *, is_bounded: bool = True
    ) -> list[Accepted | Repeat | Refused]:
        """Takes in as many of these requests, from the first on, as there is room for, in their
        order and with one wait; gives the answers to those. They are all held, or none is. Unless
        it is bounded there is room for all. Raises as `take_in` does, where that is for the first.
        """
        if is_bounded and requests[0].held:
            room = await self._backlogs.room(source)
            if room is not None and room < 1:
                return [await self.take_in(source, requests[0])]
            requests = requests[:room]
        prepared = [(one, *self._started(one)) for one in requests]
        with self._backlogs.coming(source, sum(one.held for one in requests)):
            # Each is handed over before any is waited for, so that they keep their order.
            answers = await asyncio.gather(*(self._intake.submit(*one) for one in prepared))
            return [self._counted(source, answer) for answer in answers]

    def _started(self, request: NewRequest) -> tuple[int, Process | None]:
        return (0, None) if request.held else self.process(request.process)

    def _counted(
        self, source: Source, answer: Accepted | Repeat | Refused
    ) -> Accepted | Repeat | Refused:
        if isinstance(answer, Accepted) and answer.held:
            self._backlogs.accepted(source)
        return answer
