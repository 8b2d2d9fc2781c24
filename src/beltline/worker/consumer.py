"""The calls of one module at a worker by queue: received, handled, acknowledged.

At most so many are here at a time. A call is this worker's until it is acknowledged: the broker is
told now and then that it is still worked on. While the line is broken handlers go on; what a broker
that lost touch brings again is not begun a second time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

import structlog

from beltline.queues.broker import CallBroker, PreparedReceiver
from beltline.sources.queue.broker import Broker, Delivery

KEEP_S = 10.0  # a third of the shortest time after which a broker gives a call to somebody else
AGAIN_S = 1.0
DONE_KEPT = 10_000  # calls that are done with, by what tells them apart

_log = structlog.get_logger(__name__)


class Consumer:
    """Has `handle` do each call that waits at a place, told whether the broker gave it before; it
    tells whether the call is done with.
    """

    def __init__(
        self,
        place: str,
        broker: CallBroker,
        concurrency: int,
        handle: Callable[[bytes, bool], Awaitable[bool]],
    ) -> None:
        self._place = place
        self._broker = broker
        self._concurrency = concurrency
        self._handle = handle
        self._here: dict[Hashable, tuple[Broker, Delivery]] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_ended_one = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.is_stopping = False

    async def run(self) -> None:
        """Takes calls until it is told to stop, and returns when those that are here have ended.
        What is not done with then is given back.
        """
        is_told = False
        while not self.is_stopping:
            receiver = PreparedReceiver(self._broker, self._place, self._concurrency)
            keeping: asyncio.Task[None] | None = None
            try:
                await receiver.begin()
                is_told = False
                self.has_begun.set()
                keeping = asyncio.create_task(self._keep(receiver))
                await self._serve(receiver)
                if self._tasks:
                    await asyncio.wait(self._tasks)
            except Exception as trouble:  # noqa: BLE001 - of whichever library; it begins anew
                if not is_told:
                    _log.warning("no calls come", place=self._place, reason=str(trouble))
                    is_told = True
                if not self.is_stopping:
                    await asyncio.sleep(AGAIN_S)
            finally:
                if keeping is not None:
                    keeping.cancel()
                await _end(receiver)

    async def close(self) -> None:
        """Cancels what is here."""
        self.is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def under_way(self) -> int:
        """How many calls are here."""
        return len(self._tasks)

    async def _serve(self, receiver: Broker) -> None:
        while not self.is_stopping:
            free = self._concurrency - len(self._tasks)
            if free <= 0:
                self._has_ended_one.clear()
                await self._has_ended_one.wait()
                continue
            for delivery in await receiver.receive(free):
                if not self.is_stopping:
                    await self._begin(receiver, delivery)

    async def _begin(self, receiver: Broker, delivery: Delivery) -> None:
        # Nothing tells a call without an identity from others.
        mark: Hashable = delivery.identity or object()
        if mark in self._done:
            await receiver.acknowledge(delivery)
            return
        is_here = mark in self._here
        self._here[mark] = (receiver, delivery)
        if not is_here:
            task = asyncio.create_task(self._work(mark, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._has_ended_one.set()

    async def _work(self, mark: Hashable, delivery: Delivery) -> None:
        is_done = False
        try:
            is_done = await self._handle(delivery.body, delivery.is_again)
        except Exception as trouble:  # noqa: BLE001 - then it is left to the broker
            _log.error("a call was not answered", place=self._place, reason=repr(trouble))
        finally:
            receiver, delivery = self._here.pop(mark)
        if not is_done:
            return
        if isinstance(mark, str):
            self._done[mark] = None
        if len(self._done) > DONE_KEPT:
            self._done.popitem(last=False)
        try:
            await receiver.acknowledge(delivery)
        except Exception as trouble:  # noqa: BLE001 - the line is gone; it is done when it comes again
            _log.debug("a call was not acknowledged", place=self._place, reason=str(trouble))

    async def _keep(self, receiver: Broker) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            for whose, delivery in list(self._here.values()):
                if whose is receiver:
                    try:
                        await receiver.keep(delivery)
                    except Exception as trouble:  # noqa: BLE001 - who receives meets it too
                        _log.debug("a call was not kept", place=self._place, reason=str(trouble))


async def _end(receiver: Broker) -> None:
    try:
        await receiver.end()
    except Exception as trouble:  # noqa: BLE001 - it is left anyway
        _log.debug("a line did not close cleanly", reason=str(trouble))
