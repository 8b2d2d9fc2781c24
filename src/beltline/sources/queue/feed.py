"""A queue source at work: messages come, become requests, and are acknowledged after the commit.

    receive ──> line ──> read ──> offer ... commit ... ──> acknowledge
                          └────────┴─> refused: set aside or dropped, and acknowledged

Messages of one line are taken in in their order, all others at the same time; either way they share
commits. At most `in_flight` are under way, whatever the broker has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from itertools import islice
from typing import Any

import structlog

from beltline.clients.account import CONNECT_S
from beltline.core.limits import Limits
from beltline.definition.queue import QueueWay
from beltline.sources.door import Door, Offering
from beltline.sources.offering import (
    Pause,
    offer_until_taken,
    stop_if_cancelled,
)
from beltline.sources.queue.broker import Broker, BrokerLost, Delivery
from beltline.sources.queue.identity import bounded
from beltline.sources.queue.message import read_message
from beltline.sources.refusal import RequestRefused
from beltline.sources.turn import Turn

END_S = 10.0

_log = structlog.get_logger(__name__)


class QueueFeed:
    """A source that takes messages from a broker (`door.Feed`). With `turn_ms` one node at a time
    has the connection, and asks for it that often.
    """

    def __init__(
        self,
        door: Door,
        way: QueueWay,
        new_broker: Callable[[], Broker],
        limits: Limits,
        *,
        turn_ms: int | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._door = door
        self._way = way
        self._new_broker = new_broker
        self._limits = limits
        self._turn = None if turn_ms is None else Turn(door, turn_ms, pause)
        self._pause = pause

    async def run(self) -> None:
        """Takes messages for as long as the connection holds. Raises whatever breaks it."""
        while True:
            if self._turn is not None:
                await self._turn.begin()
            broker = self._new_broker()
            try:
                await _begin(broker)
                self._door.looked()
                await self._take(broker)
            finally:
                await _end(broker)

    async def _take(self, broker: Broker) -> None:
        """Takes messages until another node has the turn."""
        flight = _Flight(
            self._way.in_flight, self._limits.feed_batch, lambda some: self._carry(broker, some)
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                flight.tasks = tasks
                while self._turn is None or await self._turn.goes_on():
                    room = await flight.room()
                    deliveries = await broker.receive(room)
                    stop_if_cancelled()
                    for delivery in deliveries:
                        flight.add(delivery)
        except BaseExceptionGroup as several:
            # One message of many met what ends this connection; that is what is told.
            raise _first(several) from several

    async def _carry(self, broker: Broker, deliveries: Sequence[Delivery]) -> None:
        """Takes messages in, and acknowledges them in their order."""
        read = [self._read(delivery) for delivery in deliveries]

        async def keep() -> None:
            for delivery in deliveries:
                await broker.keep(delivery)

        answers = iter(
            await offer_until_taken(
                self._door,
                [one for one in read if isinstance(one, Offering)],
                pause=self._pause,
                between=keep,
            )
        )
        for delivery, one in zip(deliveries, read, strict=True):
            answer = one if isinstance(one, RequestRefused) else next(answers)
            if isinstance(answer, RequestRefused):
                await self._refuse(broker, delivery, answer)
            await broker.acknowledge(delivery)

    def _read(self, delivery: Delivery) -> Offering | RequestRefused:
        try:
            value, meta = read_message(self._way, delivery, self._limits)
        except RequestRefused as refused:
            self._door.note(refused, meta={"queue": delivery.where})
            return refused
        identity = bounded(delivery.identity, self._limits.identity_bytes)
        return Offering(value, meta, identity, is_claimed=True)

    async def _refuse(self, broker: Broker, delivery: Delivery, refused: RequestRefused) -> None:
        reason = f"{refused.kind}: {refused.detail}"
        if refused.where:
            reason = f"{reason} ({refused.where})"
        target = self._way.dead_letter
        if target is not None:
            await broker.set_aside(delivery, target, reason)
        self._door.refused(reason)
        _log.warning(
            "a message is refused",
            source=self._door.source.name,
            reason=reason,
            went_to=target or "nowhere",
            message=delivery.where,
        )


async def _begin(broker: Broker) -> None:
    try:
        async with asyncio.timeout(CONNECT_S):
            await broker.begin()
    except TimeoutError as late:
        raise BrokerLost(f"the broker did not answer within {CONNECT_S:.0f} s") from late


async def _end(broker: Broker) -> None:
    try:
        async with asyncio.timeout(END_S):
            await broker.end()
    except Exception as trouble:  # noqa: BLE001 - what ended the connection is what is told
        _log.debug("a connection did not end cleanly", reason=str(trouble))


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = several
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


class _Flight:
    """What is under way, by lines."""

    tasks: asyncio.TaskGroup

    def __init__(
        self,
        most: int,
        together: int,
        carry: Callable[[Sequence[Delivery]], Coroutine[Any, Any, None]],
    ) -> None:
        self._most = most
        self._together = together
        self._carry = carry
        self._count = 0
        self._lines: dict[Hashable, deque[Delivery]] = {}
        self._landed = asyncio.Event()

    async def room(self) -> int:
        """How many more may come; waits until that is at least one."""
        while self._count >= self._most:
            self._landed.clear()
            await self._landed.wait()
        return self._most - self._count

    def add(self, delivery: Delivery) -> None:
        """Carries it, behind those of its line."""
        self._count += 1
        line = delivery.line
        if line is not None and line in self._lines:
            self._lines[line].append(delivery)
            return
        waiting = deque((delivery,))
        if line is not None:
            self._lines[line] = waiting
        self.tasks.create_task(self._go(line, waiting))

    async def _go(self, line: Hashable, waiting: deque[Delivery]) -> None:
        """Carries a line: what gathers while the first ones are offered goes together then."""
        while waiting:
            together = list(islice(waiting, self._together))
            await self._carry(together)
            for _ in together:
                waiting.popleft()
            self._count -= len(together)
            self._landed.set()
        if line is not None:
            del self._lines[line]
