"""The world outside the hub: handlers that answer, later, twice, or never; it outlives crashes.

It keeps the ledger of what it was asked, as a real outside system would, and draws each answer
from the seed. Answers of every attempt differ, so that taking the wrong one shows.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any

import msgspec

from beltline.core.events import Error
from beltline.core.inputs import Answer, Answered, AttemptFailed, Deferred
from beltline.engine.ports import Dispatched, Posted
from beltline.sdk import Context
from tests.simulation.options import Options
from tests.simulation.record import Record, Seen
from tests.simulation.scheduler import Scheduler

NOBODY = "nobody is there"

_canonical = msgspec.json.Encoder(order="sorted").encode


class Outside:
    """Handlers. `deliver` posts an answer to the life that asked, if it is up; `call_back` brings
    one that comes later, until the hub tells that it is stored; `kill` ends the process. `later`
    draws which calls are answered so: a chance of its own, so that the other seeds stay what they
    were.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        chance: Random,
        options: Options,
        record: Record,
        deliver: Callable[[Posted, int], None],
        call_back: Callable[[bytes, Answer], None],
        later: Random,
        kill: Callable[[int], None],
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._options = options
        self._record = record
        self._deliver = deliver
        self._call_back = call_back
        self._later = later
        self._defers = later.uniform(0, 0.7) if later.random() < 0.5 else 0.0
        self._kill = kill
        self._units = 0
        self.is_calm = False  # faults are over
        self.is_away = False  # nobody is there on the connection

    def called(self, call: Dispatched, life: int) -> None:
        """A handler gets a call of the process's `life`."""
        self._units += 1
        self._called(call, life)

    def _called(self, call: Dispatched, life: int) -> None:
        asked = call.call
        is_away = self.is_away and asked.step.connection is not None
        self._record.calls.append(
            Seen(
                key=call.key,
                step=asked.step.id,
                visit=asked.visit,
                attempt=asked.attempt,
                input=blake2b(_canonical(asked.input), digest_size=16).hexdigest(),
                idempotency=_key_of(call),
                at=self._scheduler.steps,
                life=life,
                time=self._scheduler.now,
                connection=asked.step.connection,
                unit=self._units,
                is_away=is_away,
            )
        )
        if is_away:
            self._refuse(call, life)
            return
        if asked.step.connection is not None:
            call.reached = "yes"
        if self._is_poison(call):
            self._scheduler.at(self._scheduler.now + 5, lambda: self._kill(life))
            return
        if self._defers and self._later.random() < self._defers:
            self._answer_later(call, life)
            return
        if self.is_calm or self._chance.random() >= self._options.lost:
            self._answer(call, life)
            if not self.is_calm and self._chance.random() < self._options.duplicates:
                self._answer(call, life)

    def called_together(self, calls: list[Dispatched], life: int) -> None:
        """A batch handler gets calls: one request for all, and an answer for each."""
        self._units += 1
        for call in calls:
            self._called(call, life)

    def _refuse(self, call: Dispatched, life: int) -> None:
        """Nobody is there, as the outgoing client and the handler tell it."""
        call.reached, call.trouble = "no", NOBODY
        asked = call.call
        error = Error("retry", NOBODY)
        answer = AttemptFailed(asked.step.id, asked.visit, asked.attempt, error)
        delay = self._chance.choice((0, 1, 5, 50))
        self._scheduler.at(
            self._scheduler.now + delay, lambda: self._deliver(Posted(call.key, answer), life)
        )

    def _is_poison(self, call: Dispatched) -> bool:
        """Some requests carry what kills the process at one of the steps."""
        if self.is_calm or not self._options.poison:
            return False
        return b'"poison":true' in _canonical(call.call.input)

    def _answer(self, call: Dispatched, life: int) -> None:
        delay = self._chance.choice((0, 1, 5, 50, 500))
        if not self.is_calm and self._chance.random() < self._options.late:
            delay = self._chance.choice((3_900, 4_100, 6_000, 9_000))
        answer = self.outcome(call)
        self._scheduler.at(
            self._scheduler.now + delay, lambda: self._deliver(Posted(call.key, answer), life)
        )

    def _answer_later(self, call: Dispatched, life: int) -> None:
        """The handler takes the work over; its answer may come before the hub has noticed that,
        after the deadline, twice, or never.
        """
        later, now, asked = self._later, self._scheduler.now, call.call
        deferred = Posted(call.key, Deferred(asked.step.id, asked.visit, asked.attempt))
        if self.is_calm or later.random() > 0.1:
            delay = later.choice((0, 1, 5, 50))
            self._scheduler.at(now + delay, lambda: self._deliver(deferred, life))
        answer = self.outcome(call)
        times = 1 if self.is_calm else later.choice((0, 1, 1, 1, 1, 2))
        for _ in range(times):
            delay = later.choice((0, 2, 50, 500, 2_000, *(() if self.is_calm else (3_999, 9_000))))
            self._scheduler.at(now + delay, lambda: self._call_back(call.key, answer))

    def outcome(self, call: Dispatched) -> Answer:
        """What a handler answers."""
        asked = call.call
        place = (asked.step.id, asked.visit, asked.attempt)
        draw = 1.0 if self.is_calm else self._chance.random()
        for share, kind in (
            (self._options.retries, "retry"),
            (self._options.rejects, "reject"),
            (self._options.exceptions, "exception"),
        ):
            if draw < share and asked.step.effect != "pure":
                after = self._chance.choice((None, 200, 7_000)) if kind == "retry" else None
                error = Error(kind, "it happens")
                return AttemptFailed(*place, error, final=kind == "reject", after_ms=after)
            draw -= share
        result: dict[str, Any] = {"v": self._chance.randrange(4), "by": asked.attempt}
        return Answered(*place, result, len(_canonical(result)))


class SimulatedTransport:
    """Fulfils `engine.ports.Transport` for one life of the process."""

    def __init__(self, outside: Outside, life: int) -> None:
        self._outside = outside
        self._life = life

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Hands calls to the world outside."""
        for call in calls:
            self._outside.called(call, self._life)

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """Hands a batch to the world outside."""
        self._outside.called_together(calls, self._life)

    def call_inline(self, call: Dispatched) -> Answer:
        """A pure handler's answer, here and now."""
        return self._outside.outcome(call)


def _key_of(call: Dispatched) -> str:
    """The idempotency key as a handler is given it."""
    asked = call.call
    unused: Any = None  # of the context, the key alone is asked for
    return Context(
        *(call.run, asked.step.id, asked.visit, asked.attempt, asked.deadline),
        connection=None,
        http=unused,
        memory=unused,
        log=unused,
        files=unused,
        bounds=unused,
    ).key
