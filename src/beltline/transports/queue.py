"""The `queue` transport: calls go to a broker as CloudEvents, and their answers come another way.

    dispatch ──> road of the broker ──> sent, and kept there ──> Deferred: the answer comes later
                                    └──> the broker is away  ──> Parked: again when it may be back

A broker keeps what it has confirmed, so the run leaves memory then, and a restart of the hub calls
nothing again. The answer comes to the place of this hub on the broker, from where `queues/results`
brings it to the inbox of its run. What a broker that is away does not take costs no failure.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol
from zlib import crc32

import msgspec

from beltline.catalog.answers import failed, raised, unknown
from beltline.catalog.catalog import Remote
from beltline.catalog.invocation import Invocation
from beltline.core.inputs import Answer, Deferred, Parked
from beltline.core.limits import Limits
from beltline.engine.callbacks import Callbacks
from beltline.engine.contract import CalledConnection, event_of
from beltline.engine.ports import Clock, Dispatched, Mailbox, Posted, Report
from beltline.sdk import ClientFailed

SEND_S = 5.0  # a broker that is there confirms within milliseconds
AWAY_FIRST_MS = 1_000
AWAY_MOST_MS = 30_000


class Post(Protocol):
    """A line to a broker, by which messages are sent, and places for them made."""

    async def prepare(self, place: str) -> None:
        """Sees to it that messages can be kept there. What an operator has made stays as it is.
        Raises `ClientFailed`.
        """
        ...

    async def send(self, place: str, body: bytes, *, id: str) -> None:
        """Returns when the broker has confirmed that it keeps the message. Raises `ClientFailed`:
        where it is not `permanent` the broker may have the message all the same.
        """
        ...

    def is_open(self) -> bool:
        """Whether the line holds."""
        ...

    async def close(self) -> None:
        """Leaves."""
        ...


class Destination(msgspec.Struct, frozen=True):
    """A broker as the transport needs it: `shown` is its address for people, `results` where
    answers for this hub are sent there, `place_of` where calls of a module go; `open` connects, and
    raises `ClientFailed`.
    """

    shown: str
    results: str
    place_of: Callable[[str], str]
    open: Callable[[], Awaitable[Post]]


class Directory(Protocol):
    """Where modules are, and what they declare (`catalog.Catalog`)."""

    def remote(self, name: str, pinned: str) -> Remote | None:
        """What a step is bound to."""
        ...

    def invocation(self, pinned: str) -> Invocation | None:
        """The module's declaration."""
        ...


class QueueSurroundings(msgspec.Struct, frozen=True):
    """What calls by queue need beside their module: the broker of a binding, what may be told of a
    connection, who makes tickets, and where an outage is told.
    """

    destination: Callable[[Remote], Destination]
    connection: Callable[[str], CalledConnection | None]
    callbacks: Callbacks
    report: Report


class Road:
    """The way to one broker: the calls that wait for it, and whether it is away."""

    def __init__(self, to: Destination, clock: Clock, report: Report) -> None:
        self.to = to
        self.waiting: deque[tuple[Remote, Dispatched]] = deque()
        self.busy = 0
        self._clock = clock
        self._report = report
        self._post: Post | None = None
        self._prepared: set[str] = set()
        self._opening = asyncio.Lock()
        self._away_since: int | None = None
        self._again_at = 0
        self._trouble = ""

    async def post(self, place: str) -> Post:
        """A line that holds, to a broker that has the place. Raises `ClientFailed`, at once while
        the broker is known to be away.
        """
        async with self._opening:
            if self._post is None or not self._post.is_open():
                if self._away_since is not None and self._clock.now() < self._again_at:
                    raise ClientFailed(self._trouble)
                await self._leave()
                self._post = await self.to.open()
            if place not in self._prepared:
                await self._post.prepare(place)
                self._prepared.add(place)
            return self._post

    async def lost(self, post: Post) -> None:
        """This line is not to be used any more."""
        if self._post is post:
            await self._leave()

    def reached(self) -> None:
        """The broker has taken a message."""
        if self._away_since is not None:
            self._away_since = None
            self._report(f"{self.to.shown} is reached again", "", "its steps go on")

    def away(self, trouble: str) -> None:
        """The broker cannot be reached, or takes nothing: told once, and tried again after pauses
        that grow with the outage.
        """
        now = self._clock.now()
        if self._away_since is None:
            self._away_since = now
            self._report(f"{self.to.shown} cannot be reached", "", f"steps are parked: {trouble}")
        if now >= self._again_at:
            lasted = now - self._away_since
            self._again_at = now + min(max(lasted // 2, AWAY_FIRST_MS), AWAY_MOST_MS)
        self._trouble = trouble

    def again_at(self, key: bytes) -> int:
        """When a call is to come back. Runs are kept apart a little, by their keys."""
        pause = max(self._again_at - self._clock.now(), AWAY_FIRST_MS)
        return self._again_at + round(pause / 4 * crc32(key) / 0xFFFFFFFF)

    async def close(self) -> None:
        """Leaves the broker."""
        async with self._opening:
            await self._leave()

    async def _leave(self) -> None:
        post, self._post = self._post, None
        self._prepared.clear()
        if post is not None:
            try:
                async with asyncio.timeout(SEND_S):
                    await post.close()
            except Exception:  # noqa: S110 - it is left anyway, and was told where it was used
                pass


class QueueTransport:
    """Hands calls to brokers. It belongs to the loop of the belt."""

    def __init__(
        self,
        directory: Directory,
        around: QueueSurroundings,
        mailbox: Mailbox,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._directory = directory
        self._around = around
        self._mailbox = mailbox
        self._clock = clock
        self._limits = limits
        self._roads: dict[str, Road] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        self._under_way += len(calls)
        self._idle.clear()
        for call in calls:
            step = call.call.step
            remote = self._directory.remote(step.module, step.implementation)
            if remote is None:
                self._end(call, unknown(call))
                continue
            road = self._road(remote)
            road.waiting.append((remote, call))
            if road.busy < self._limits.queue_sending:
                road.busy += 1
                task = asyncio.get_running_loop().create_task(self._work_off(road))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """A worker takes one call at a time."""
        self.dispatch(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        """No module behind a broker is pure."""
        return failed(call, "module", "a module of a worker is not called in place", final=True)

    def under_way(self) -> int:
        """How many calls no broker has taken yet: the others are safe there."""
        return self._under_way

    async def idle(self) -> None:
        """Waits until every call is taken, or parked."""
        await self._idle.wait()

    async def close(self) -> None:
        """Drops calls that are on their way, and leaves the brokers."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for road in self._roads.values():
            await road.close()

    def _road(self, remote: Remote) -> Road:
        place = f"{remote.address} {remote.secret}"
        road = self._roads.get(place)
        if road is None:
            to = self._around.destination(remote)
            road = self._roads[place] = Road(to, self._clock, self._around.report)
        return road

    async def _work_off(self, road: Road) -> None:
        try:
            while road.waiting:
                remote, call = road.waiting.popleft()
                try:
                    outcome = await self._carry(road, remote, call)
                except Exception as error:
                    outcome = raised(call, error)
                self._end(call, outcome)
        finally:
            road.busy -= 1

    def _end(self, call: Dispatched, outcome: Answer | Deferred | Parked | None) -> None:
        if outcome is not None:
            self._mailbox.post([Posted(call.key, outcome)])
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def _carry(
        self, road: Road, remote: Remote, call: Dispatched
    ) -> Answer | Deferred | Parked | None:
        """One call; None where its deadline passed while it waited, which the belt has noticed."""
        asked = call.call
        if asked.deadline <= self._clock.now():
            return None
        event, most = self._event_of(road, remote, call), self._limits.module_event_bytes
        if len(event) > most:
            text = f"the event would pass module_event_bytes ({most}): give the step less"
            return failed(call, "limit", text, final=True)
        # What the worker asks for on a connection is not seen here: all that it may count.
        invocation = self._directory.invocation(asked.step.implementation)
        call.requests = 1 if invocation is None else invocation.module.requests
        place = road.to.place_of(asked.step.implementation.partition("@")[0])
        try:
            post = await road.post(place)
        except ClientFailed as away:
            return _parked(road, call, str(away), was_called=False)
        try:
            async with asyncio.timeout(SEND_S):
                await post.send(place, event, id=os.urandom(16).hex())
        except ClientFailed as trouble:
            if trouble.permanent:
                return failed(call, "transport", str(trouble), final=True)
            why = str(trouble)
        except TimeoutError:
            why = f"it did not confirm a message within {SEND_S:g} s"
        else:
            road.reached()
            return Deferred(asked.step.id, asked.visit, asked.attempt)
        await road.lost(post)
        return _parked(road, call, why, was_called=True)

    def _event_of(self, road: Road, remote: Remote, call: Dispatched) -> bytes:
        around, name = self._around, call.call.step.connection
        return event_of(
            call,
            now=self._clock.now(),
            callback=around.callbacks.address(call),
            connection=None if name is None else around.connection(name),
            results=road.to.results,
            ticket=around.callbacks.queue_ticket(call, remote.name),
        )


def _parked(road: Road, call: Dispatched, trouble: str, *, was_called: bool) -> Parked:
    road.away(trouble)
    asked = call.call
    reason = f"waits until {road.to.shown} can be reached again ({trouble})"
    until = road.again_at(call.key)
    return Parked(asked.step.id, asked.visit, asked.attempt, until, reason, was_called)
