"""The dispatcher: stands before the transport and lets calls out as their limits allow.

    committer ──calls──> dispatcher ──no limit──────────────────────────────> transport
                            │ the line of their connection or module             ▲
                            ├── the store's buckets grant some ── batches ───────┘
                            └── the rest: held for a moment, or parked ──> mailbox
    mailbox ──answers──> belt ──> `settle`: their slots are free, an outage parks them
    inbox ──later answers──> belt ──> `heard`: the same, but whoever answers was reached

Calls whose connection has no limits, and is reached, go out at once. A parked run leaves memory; it
comes back when its turn is about due.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from beltline.core.inputs import Answer, Answered, AttemptFailed, Deferred, Input, Parked
from beltline.core.limits import Limits
from beltline.engine.call_rules import CallRule, CallRules
from beltline.engine.gate import Gate
from beltline.engine.limit_store import Rule
from beltline.engine.line import Line, Turn, Unit
from beltline.engine.line_view import LineView, view_of
from beltline.engine.ports import (
    Bell,
    Clock,
    Dispatched,
    Mailbox,
    Posted,
    Report,
    Store,
    Transport,
)
from beltline.engine.under_way import SWEEP_MS, Sent, UnderWay

# What a call is held for counts in its timeout: no more than this part of it.
HELD_PART = 20

# By limits: how long the next unit that keeps to them must wait (ms), and for what.
Waits = dict[tuple[Rule, ...], tuple[int, str]]


class Dispatcher:
    """Fulfils `Transport` before another one. `is_awaited` tells whether a call that was held is
    still to be made.
    """

    def __init__(
        self,
        transport: Transport,
        rules: CallRules,
        store: Store,
        mailbox: Mailbox,
        clock: Clock,
        bell: Bell,
        report: Report,
        is_awaited: Callable[[Dispatched], bool],
        limits: Limits,
    ) -> None:
        self._transport = transport
        self._rules = rules
        self._store = store
        self._mailbox = mailbox
        self._clock = clock
        self._bell = bell
        self._report = report
        self._is_awaited = is_awaited
        self._limits = limits
        self._lines: dict[str, Line] = {}
        self._gates: dict[str, Gate] = {}
        self._under_way = UnderWay(is_awaited, self._ended)
        self.is_draining = False

    # The committer's side

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        free: list[Dispatched] = []
        has_waiting = False
        for call in calls:
            rule = self._rules.of(call.call.step)
            if rule is None:
                free.append(call)
                continue
            line, now = self._line(rule), self._clock.now()
            is_open = line.breaker is not None and line.breaker.state != "closed"
            if rule.limits or is_open or len(line):
                line.add(rule, call, now)
                has_waiting = True
            else:
                self._note_sent(line, Unit(rule, [call], now), now)
                free.append(call)
        if free:
            self._transport.dispatch(free)
        if has_waiting:
            self._bell.ring()

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """Passes a batch on."""
        self._transport.dispatch_batch(calls)

    def call_inline(self, call: Dispatched) -> Answer:
        """Runs a `pure` handler here and now: it reaches nothing that has limits."""
        return self._transport.call_inline(call)

    # The belt's side

    def settle(self, key: bytes, input: Input) -> Input:
        """What an answer means: mostly what it says. Where it says that the other side could not be
        reached, the call is parked.
        """
        told = Answered | AttemptFailed | Deferred | Parked
        if not len(self._under_way) or not isinstance(input, told):
            return input
        found = self._under_way.take(key, input)
        if found is None:
            return input
        call, sent, now = found.call, found.sent, self._clock.now()
        self._note_outcome(call, sent, now)
        if not found.is_lost:
            self._ended(sent, now)
        breaker = sent.line.breaker
        if breaker is None or call.reached not in ("no", "away"):
            return input
        if not isinstance(input, AttemptFailed) or input.final:
            return input
        until = breaker.again_at(now, _spread(call))
        reason = f"waits until {sent.line.name} can be reached again ({input.error.message})"
        was_called = call.reached == "away"
        return Parked(input.step, input.visit, input.attempt, until, reason, was_called)

    def heard(self, key: bytes, answer: Answer) -> None:
        """An answer came by the inbox: whatever became of the call's own request, it has ended, and
        whoever answers was reached.
        """
        found = self._under_way.take(key, answer)
        if found is None:
            return
        now = self._clock.now()
        found.call.reached = "yes"
        self._note_outcome(found.call, found.sent, now)
        if not found.is_lost:
            self._ended(found.sent, now)

    def _note_outcome(self, call: Dispatched, sent: Sent, now: int) -> None:
        """Tells the breaker, once for each unit."""
        breaker = sent.line.breaker
        if breaker is None or sent.is_noted or not call.reached:
            return
        sent.is_noted = True
        name = sent.line.name
        if call.reached == "yes":
            if breaker.reached(sent.turn):
                self._report(f"{name} is reached again", "", "its steps go on")
            self._bell.ring()
        elif breaker.failed(now, call.trouble, sent.turn):
            self._report(f"{name} cannot be reached", "", f"its steps are parked: {call.trouble}")

    def _ended(self, sent: Sent, now: int) -> None:
        sent.left -= 1
        if sent.left:
            return
        sent.line.ended(sent.turn)
        requests = max(1, *(call.requests for call in sent.unit.calls))
        # A clock that was set meanwhile must not make people wait for days.
        took_ms = min(now - sent.at, max(c.call.step.timeout_ms for c in sent.unit.calls))
        for gate in sent.gates:
            gate.ended(min(sent.unit.cost, gate.rule.burst), requests, took_ms)
        if sent.gates or len(sent.line):
            self._bell.ring()

    # What waits

    async def run(self) -> None:
        """Lets calls out for as long as the node lives."""
        while True:
            wake_at = None
            for line in list(self._lines.values()):
                at = await self._serve(line)
                if at is not None and (wake_at is None or at < wake_at):
                    wake_at = at
            has_news = await self._tell_news()
            now = self._clock.now()
            self._under_way.sweep(now)
            if len(self._under_way) or has_news:
                wake_at = now + SWEEP_MS if wake_at is None else min(wake_at, now + SWEEP_MS)
            await self._bell.wait(wake_at)

    async def _serve(self, line: Line) -> int | None:
        """Lets out what may go, and parks what would wait for long. Gives when to look again."""
        if not len(line) or self.is_draining:
            return None
        gone = [unit for unit in line.units() if not any(map(self._is_awaited, unit.calls))]
        line.remove(gone, are_served=False)
        units = line.units()
        now = self._clock.now()
        if line.breaker is not None and (room := line.breaker.room(now)) is not None:
            units = units[: max(0, room - line.under_way_now())]
        clearings = line.clearings
        granted, waits = await self._granted(line, units)
        if line.clearings != clearings:  # while the store was asked
            self._give_back(granted)
            granted = []
        now = self._clock.now()
        if granted:
            line.remove(granted, are_served=True)
            for unit in granted:
                self._note_sent(line, unit, now)
            self._send(granted)
        return self._hold_or_park(line, now, waits)

    async def _granted(self, line: Line, units: list[Unit]) -> tuple[list[Unit], Waits]:
        """Those of the units that all their limits let go, and how long the next one of the others
        must wait (ms).
        """
        waits: Waits = {}
        drawn: list[tuple[Gate, Unit]] = []
        rules = {rule.name: rule for unit in units for rule in unit.rule.limits}
        # Those of modules first: what a connection grants is not to be given back for want of them.
        for name in sorted(rules, key=lambda name: name == line.name):
            gate = self._gate(rules[name])
            asking = [unit for unit in units if rules[name] in unit.rule.limits]
            number = await gate.draw([min(unit.cost, gate.rule.burst) for unit in asking])
            drawn += [(gate, unit) for unit in asking[:number]]
            refused = asking[number:]
            for limits in {unit.rule.limits for unit in refused}:
                waits[limits] = gate.wait_ms, f"waits for the limit of {name}"
            gone = set(map(id, refused))
            units = [unit for unit in units if id(unit) not in gone]
        kept = set(map(id, units))
        for gate, unit in drawn:
            if id(unit) not in kept:
                gate.give_back(min(unit.cost, gate.rule.burst))
        return units, waits

    def _give_back(self, units: list[Unit]) -> None:
        for unit in units:
            for rule in unit.rule.limits:
                self._gate(rule).give_back(min(unit.cost, rule.burst))

    def _note_sent(self, line: Line, unit: Unit, now: int) -> None:
        self._under_way.add(line, [self._gate(rule) for rule in unit.rule.limits], unit, now)

    def _send(self, units: list[Unit]) -> None:
        single = [unit.calls[0] for unit in units if len(unit.calls) == 1]
        if single:
            self._transport.dispatch(single)
        for unit in units:
            if len(unit.calls) > 1:
                self._transport.dispatch_batch(unit.calls)

    def _hold_or_park(self, line: Line, now: int, waits: Waits) -> int | None:
        """What is left waits here where its turn is near. Gives when to look again. Those that keep
        to the same limits take turns; what waits for another one's limit holds up nobody else.
        """
        breaker = line.breaker
        is_away = breaker is not None and breaker.state == "open"
        turns: dict[tuple[Rule, ...], float] = {}
        held, look_at = 0, None
        parked: list[tuple[Unit, Turn]] = []
        for unit in line.units():
            limits = unit.rule.limits
            wait_ms, reason = waits.get(limits, (0, "waits for its turn"))
            next_at = now + max(1, wait_ms)
            pace_ms = self._pace_ms(limits)
            at = turns.setdefault(limits, next_at)
            turns[limits] = at + pace_ms * unit.share
            hold_ms = min(
                self._limits.held_ms, min(c.call.step.timeout_ms for c in unit.calls) // HELD_PART
            )
            has_room = held + len(unit.calls) <= self._limits.held_calls
            if is_away or at > unit.since + hold_ms or not has_room:
                parked.append((unit, Turn(at, next_at, pace_ms, reason)))
            else:
                held += len(unit.calls)
                look_at = next_at if look_at is None else min(look_at, next_at)
        line.remove([unit for unit, _ in parked], are_served=False)
        for unit, turn in parked:
            self._park(line, unit, turn, now)
        return None if look_at is None else min(look_at, now + SWEEP_MS)

    def _park(self, line: Line, unit: Unit, turn: Turn, now: int) -> None:
        breaker = line.breaker
        if breaker is not None and breaker.state != "closed":
            reason = f"waits until {line.name} can be reached again ({breaker.last_error})"
            untils = [breaker.again_at(now, _spread(call)) for call in unit.calls]
        else:
            reason = turn.reason
            untils = [line.book(unit, turn, now)] * len(unit.calls)
        self._mailbox.post(
            [
                Posted(
                    call.key,
                    Parked(call.call.step.id, call.call.visit, call.call.attempt, until, reason),
                )
                for call, until in zip(unit.calls, untils, strict=True)
            ]
        )

    def _pace_ms(self, limits: tuple[Rule, ...]) -> float:
        gates = (self._gates[rule.name] for rule in limits if rule.name in self._gates)
        return max((gate.pace_ms for gate in gates), default=0)

    async def _tell_news(self) -> bool:
        """What has ended here makes room on other nodes. Tells whether some could not be told."""
        for gate in list(self._gates.values()):
            if gate.has_news:
                await gate.draw(())
        return any(gate.has_news for gate in self._gates.values())

    def _line(self, rule: CallRule) -> Line:
        line = self._lines.get(rule.line)
        if line is None:
            line = self._lines[rule.line] = Line(rule.line, has_breaker=rule.has_breaker)
        return line

    def _gate(self, rule: Rule) -> Gate:
        gate = self._gates.get(rule.name)
        if gate is None:
            gate = self._gates[rule.name] = Gate(rule, self._store, self._clock)
        return gate

    # Its life, and what people see of it

    def drain(self) -> None:
        """Begins a clean stop: what waits stays in the journal, for whoever recovers the runs."""
        self.is_draining = True
        self.forget()

    def forget(self) -> None:
        """What waits is not this node's any more; what is under way still takes up its room."""
        for line in self._lines.values():
            line.clear()

    def close_breaker(self, line: str) -> bool:
        """A person says that the other side is back; tells whether there was a breaker to close."""
        found = self._lines.get(line)
        if found is None or found.breaker is None or found.breaker.state == "closed":
            return False
        found.breaker.close()
        self._bell.ring()
        return True

    def view(self, line: str, limits: tuple[Rule, ...]) -> LineView:
        """A line as it stands, with what is left of these limits."""
        found = self._lines[line] if line in self._lines else Line(line, has_breaker=True)
        left = {r.name: self._gates[r.name].left for r in limits if r.name in self._gates}
        return view_of(found, left, self._clock.now())

    def lines(self) -> list[Line]:
        """All lines that calls have stood in."""
        return list(self._lines.values())


def _spread(call: Dispatched) -> float:
    """Where a call stands among those that come back, from 0 to 1: not by chance, so that it can be
    repeated.
    """
    return crc32(call.key) / 0xFFFFFFFF
