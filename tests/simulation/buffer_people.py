"""Senders to sources that hold back what they accept, and people who work on these buffers.

They go through the hub's own code, as its API and its command line do: what a request's line and
place are, what a pause is, what dropping does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from random import Random
from typing import Any

import msgspec

from beltline.core.limits import TINY
from beltline.definition.source import Source
from beltline.engine.buffers import Buffers, holds_back
from beltline.engine.node import Node
from beltline.engine.ports import StoreAway, StoreFull
from beltline.engine.records import HeldFilter, NewRequest
from beltline.engine.releaser import PAUSED, Versions
from beltline.sources.request import Offered, new_request
from tests.simulation.options import SPAN_MS
from tests.simulation.record import Record, Sending, Terms
from tests.simulation.scheduler import START_MS, Scheduler
from tests.simulation.sources import LONG_MS, Buffering, Drawn, source_of

MANY = 20  # more than any source of a seed holds

Act = Callable[[Node, Buffers, Drawn], Awaitable[object]]
Reach = Callable[[str, Callable[[Node], Coroutine[Any, Any, None]]], None]


class BufferPeople:
    """Those who deal with the sources of a seed. `reach` has something done with a hub that is up,
    if one is.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        chance: Random,
        buffering: Buffering,
        record: Record,
        versions: Versions,
        reach: Reach,
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._drawn = {drawn.name: drawn for drawn in buffering.sources}
        self._record = record
        self._versions = versions
        self._reach = reach
        self._is_calm = False
        self.sources: dict[str, Source] = {}
        for drawn in buffering.sources:
            self._set(drawn, drawn.settings[0])

    def _set(self, drawn: Drawn, terms: Terms) -> None:
        """The source's file says this from now on, at every node."""
        self.sources[drawn.name] = source_of(drawn, terms)
        self._record.sources[drawn.name] = terms

    # Senders

    def sendings(self) -> list[Sending]:
        """All that will be sent to these sources."""
        sendings = []
        for drawn in self._drawn.values():
            for number in range(drawn.sent):
                line = f"deal {self._chance.randrange(drawn.lines)}"
                urgent = self._chance.choice((0, 0, 1, 3))
                body = {
                    "n": self._chance.randrange(3),
                    "line": line,
                    "urgent": urgent,
                    "number": f"{drawn.name} {number}",
                }
                sendings.append(
                    Sending(
                        source=drawn.name,
                        process=drawn.process,
                        body=msgspec.json.encode(body),
                        identity=None,
                        held=True,
                        urgent=urgent,
                    )
                )
        return sendings

    def when(self) -> int:
        """How long after the beginning something is sent, in ms."""
        return self._chance.choice((0, 0, self._chance.randint(0, SPAN_MS)))

    async def request(self, sending: Sending, node: Node) -> NewRequest:
        """The request as the hub makes it of what was sent. Raises `StoreAway`."""
        states: Mapping[str, str] = await node.store.source_state()
        source = self.sources[sending.source]
        key, now = node.intake.new_key()
        offered = Offered(msgspec.json.decode(sending.body), sending.body, now, key, {})
        held = holds_back(source, states.get(source.name))
        return new_request(source, offered, held=held, limits=TINY)

    # People

    def plan(self) -> None:
        """What people will do, and when."""
        for drawn in self._drawn.values():
            if len(drawn.settings) > 1:
                self._at(drawn, self._switch)
            if drawn.pauses:
                times = sorted(self._chance.randint(0, SPAN_MS) for _ in drawn.pauses)
                for when, is_pause in zip(times, drawn.pauses, strict=True):
                    self._act_at(START_MS + when, drawn, _pause if is_pause else _resume)
            for act, often in (
                (self._let_go, drawn.let_go),
                (self._drop, drawn.dropped),
                (self._move, drawn.moved),
            ):
                for _ in range(often):
                    self._act_at(START_MS + self._chance.randint(0, SPAN_MS), drawn, act)

    def _at(self, drawn: Drawn, do: Callable[[Drawn], None]) -> None:
        when = START_MS + self._chance.randint(0, SPAN_MS)
        self._scheduler.at(when, lambda: do(drawn))

    def _switch(self, drawn: Drawn) -> None:
        if not self._is_calm:
            self._record.switched.add(drawn.name)
            self._set(drawn, drawn.settings[1])

    def _act_at(self, when: int, drawn: Drawn, act: Act) -> None:
        async def done(node: Node) -> None:
            buffers = Buffers(node.store, self._versions, node.clock, self.sources)
            try:
                await act(node, buffers, drawn)
            except (StoreFull, StoreAway):
                return
            if act is not _resume_paused:
                node.releaser.ring()
            node.loader.expect(node.clock.now())
            node.loader.ring()

        self._scheduler.at(when, lambda: self._reach("person", done))

    def _some(self, drawn: Drawn) -> HeldFilter:
        line = f"deal {self._chance.randrange(drawn.lines)}"
        has_lines = self._record.sources[drawn.name].keeps_order
        return HeldFilter(
            drawn.name, line=line if has_lines and self._chance.random() < 0.5 else None
        )

    async def _let_go(self, _node: Node, buffers: Buffers, drawn: Drawn) -> None:
        await buffers.release(self._some(drawn), self._chance.randint(1, 3))

    async def _drop(self, _node: Node, buffers: Buffers, drawn: Drawn) -> None:
        number = self._chance.randint(1, 3)
        await buffers.drop(self._some(drawn), number, reason="not wanted", by="person")

    async def _move(self, node: Node, _buffers: Buffers, drawn: Drawn) -> None:
        self._record.places[drawn.name] = self._record.places.get(drawn.name, 0) + 1
        found = await node.store.waiting(HeldFilter(drawn.name), MANY)
        if found:
            own = self._chance.sample(
                [one.key for one in found], self._chance.randint(1, len(found))
            )
            await node.store.put_first(own, first=self._chance.random() < 0.5)

    # The calm part

    def calm_down(self) -> None:
        """From here on what is set stays."""
        self._is_calm = True

    def look_after(self) -> None:
        """People resume what was paused, and let go what goes too slowly for them."""
        for name, drawn in self._drawn.items():
            self._act_at(self._scheduler.now, drawn, _resume_paused)
            if self._record.sources[name].every_ms > LONG_MS:
                self._act_at(self._scheduler.now, drawn, _all)


async def _pause(_node: Node, buffers: Buffers, drawn: Drawn) -> None:
    await buffers.pause(drawn.name)


async def _resume_paused(node: Node, buffers: Buffers, drawn: Drawn) -> None:
    state = (await node.store.source_state()).get(drawn.name)
    if state == PAUSED or (state is None and drawn.settings[-1].kind == "paused"):
        await buffers.resume(drawn.name)


async def _resume(_node: Node, buffers: Buffers, drawn: Drawn) -> None:
    await buffers.resume(drawn.name)


async def _all(_node: Node, buffers: Buffers, drawn: Drawn) -> None:
    await buffers.release(HeldFilter(drawn.name), MANY)
