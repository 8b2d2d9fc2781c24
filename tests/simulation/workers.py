"""Workers that answer later: each brings its answer to a hub until one tells that it is stored."""

from __future__ import annotations

from beltline.core.inputs import Answer, encode_message
from beltline.engine.ports import LeaseLost, StoreAway, StoreFull
from tests.simulation.record import CalledBack, Record
from tests.simulation.scheduler import Scheduler
from tests.simulation.society import Hub, Society

AGAIN_MS = 700


class Workers:
    """They reach any hub that is up, as the callback of the API does."""

    def __init__(self, scheduler: Scheduler, society: Society, record: Record) -> None:
        self._scheduler = scheduler
        self._society = society
        self._record = record

    def bring(self, key: bytes, answer: Answer) -> None:
        """Brings an answer, and again while nobody has told that it is stored."""
        told: list[bool] = []
        hub = self._society.hub
        if hub is not None:
            self._society.spawn("callback", self._take(hub, key, answer, told), hub)
        again = self._scheduler.now + AGAIN_MS
        self._scheduler.at(again, lambda: None if told else self.bring(key, answer))

    async def _take(self, hub: Hub, key: bytes, answer: Answer, told: list[bool]) -> None:
        try:
            await hub.store.post(key, encode_message(answer), hub.node.clock.now())
        except (StoreFull, StoreAway, LeaseLost):
            return
        told.append(True)
        self._record.callbacks.append(
            CalledBack(key, answer.step, answer.visit, answer.attempt, self._scheduler.steps)
        )
        hub.node.loader.expect(hub.node.clock.now())
        hub.node.loader.ring()
