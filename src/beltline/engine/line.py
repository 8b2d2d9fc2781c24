"""The line of one connection, or of one module: calls that wait for their turn.

Processes take turns, however many calls each has waiting; within a process the oldest run goes
first, so that runs end before others begin, and one that was parked is not overtaken for ever.
Calls that may go together are put together.
"""

from __future__ import annotations

import msgspec

from beltline.engine.breaker import Breaker
from beltline.engine.call_rules import CallRule
from beltline.engine.limit_store import Rule
from beltline.engine.ports import Dispatched


class Unit(msgspec.Struct, eq=False):
    """What goes out as one: a call, or several of one batch. `since` is when its first one came."""

    rule: CallRule
    calls: list[Dispatched]
    since: int

    @property
    def cost(self) -> int:
        """The requests that it may make. A batch makes one."""
        return 1 if len(self.calls) > 1 else self.rule.requests

    @property
    def share(self) -> float:
        """The part of a turn that it takes."""
        return len(self.calls) / self.rule.batch_most if self.rule.batch else self.cost


class Turn(msgspec.Struct, frozen=True):
    """When a unit that must wait may go, about, and the `next_at` of all those that wait for the
    same limits (Unix ms); how long one turn takes, and what it waits for.
    """

    at: float
    next_at: int
    pace_ms: float
    reason: str


class _Waiting(msgspec.Struct, eq=False):
    rule: CallRule
    call: Dispatched
    since: int
    batch: str


class Line:
    """The calls that wait, by process, and what is known of the line. `under_way` are units."""

    def __init__(self, name: str, *, has_breaker: bool) -> None:
        self.name = name
        self.breaker = Breaker() if has_breaker else None
        self.under_way = 0
        self._of_turn = (0, 0)  # a turn of the breaker, and how many that went out in it are out
        self.parked = 0  # since the start
        self.clearings = 0
        self._waiting: dict[str, list[_Waiting]] = {}
        self._turns: dict[str, float] = {}  # how far each process has come
        self._turn = 0.0  # how far the line has come
        # By limits: until when the parked calls of each process take turns, and when the unit that
        # was parked for the next turn comes.
        self._booked: dict[tuple[Rule, ...], dict[str, float]] = {}
        self._comes_next_at: dict[tuple[Rule, ...], int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def begun(self, turn: int) -> None:
        """A unit goes out in this turn of the breaker."""
        self.under_way += 1
        of, number = self._of_turn
        self._of_turn = (turn, number + 1 if of == turn else 1)

    def ended(self, turn: int) -> None:
        """A unit that went out in that turn has ended."""
        self.under_way -= 1
        of, number = self._of_turn
        if of == turn:
            self._of_turn = (of, number - 1)

    def under_way_now(self) -> int:
        """How many units are out that say something of the other side as it is now: those from
        before an outage may hang for long, and are not to keep a probe from going.
        """
        of, number = self._of_turn
        return number if self.breaker is None or of == self.breaker.turn else 0

    def add(self, rule: CallRule, call: Dispatched, now: int) -> None:
        """A call comes. One that may be a repeat, and that might have a second effect, first looks
        for the first one's: it goes alone.
        """
        asked = call.call
        is_alone = asked.is_repeat and asked.step.effect == "at-least-once"
        batch = "" if is_alone else rule.batch
        waiting = self._waiting.get(call.process)
        if waiting is None:
            waiting = self._waiting[call.process] = []
            self._turns[call.process] = max(self._turn, self._turns.get(call.process, 0.0))
        waiting.append(_Waiting(rule, call, now, batch))

    def units(self) -> list[Unit]:
        """All that wait, in the order of their turns."""
        ranked = []
        for process, waiting in self._waiting.items():
            waiting.sort(key=lambda one: one.call.key)
            first = self._turns[process]
            ranked += [(first + n, one.call.key, one) for n, one in enumerate(waiting)]
        ranked.sort(key=lambda each: each[:2])
        units: list[Unit] = []
        unfilled: dict[str, Unit] = {}
        for _, _, one in ranked:
            unit = unfilled.get(one.batch) if one.batch else None
            if unit is not None and len(unit.calls) < one.rule.batch_most:
                unit.calls.append(one.call)
                unit.since = min(unit.since, one.since)
                continue
            rule = one.rule
            if rule.batch and not one.batch:
                rule = msgspec.structs.replace(rule, batch="")
            units.append(Unit(rule, [one.call], one.since))
            if one.batch:
                unfilled[one.batch] = units[-1]
        return units

    def remove(self, units: list[Unit], *, are_served: bool) -> None:
        """These wait no more; where they are served, their processes have had turns."""
        gone = {id(call): unit for unit in units for call in unit.calls}
        for process in list(self._waiting):
            waiting = self._waiting[process]
            kept = [one for one in waiting if id(one.call) not in gone]
            if are_served:
                self._turns[process] += len(waiting) - len(kept)
                self._turn = max(self._turn, min(self._turns[p] for p in self._waiting))
            if kept:
                self._waiting[process] = kept
            else:
                del self._waiting[process]
        if not self._waiting:
            self._turns = {p: t for p, t in self._turns.items() if t > self._turn}

    def clear(self) -> None:
        """Nobody waits any more."""
        self.clearings += 1
        self._waiting.clear()

    def book(self, unit: Unit, turn: Turn, now: int) -> int:
        """When a unit that is parked is to come back: at its `turn`, or behind those of its process
        that are parked already. Processes that have parked calls share the turns. Calls that may go
        together come back at the same moment: with the next turn, or so many turns after it.
        One unit at a time comes for the next turn, whoever is booked behind: they come when they
        were told, and the token may be there long before.
        """
        self.parked += len(unit.calls)
        process, limits = unit.calls[0].process, unit.rule.limits
        booked = {name: at for name, at in self._booked.get(limits, {}).items() if at > now}
        self._booked[limits] = booked
        if turn.at <= turn.next_at and self._comes_next_at.get(limits, 0) <= now:
            self._comes_next_at[limits] = turn.next_at
            booked.setdefault(process, turn.next_at)
            return turn.next_at
        sharing, pace_ms = len(booked.keys() | {process}), turn.pace_ms
        behind = booked.get(process, 0.0) + pace_ms * unit.share * sharing
        booked[process] = until = max(turn.at, behind)
        if unit.rule.batch and pace_ms:
            return turn.next_at + round(int((until - turn.next_at) / pace_ms + 0.001) * pace_ms)
        return round(until)

    def booked_until(self, now: int) -> int | None:
        """When the last parked call is to come back; None where none is."""
        last = max((at for booked in self._booked.values() for at in booked.values()), default=0.0)
        return round(last) if last > now else None
