"""The calls that are under way: which line and limits each takes up room of, until it has ended."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from beltline.core.inputs import Answer, Deferred, Parked
from beltline.engine.gate import Gate
from beltline.engine.line import Line, Unit
from beltline.engine.ports import Dispatched

GRACE_MS = 2_000  # an answer that comes later than its deadline by more does not come at all
SWEEP_MS = 1_000

_Place = tuple[bytes, str, int, int]


class Sent(msgspec.Struct, eq=False):
    """A unit that went out. `left` of its calls have no answer; `turn` is that of the breaker."""

    line: Line
    gates: list[Gate]
    unit: Unit
    left: int
    at: int
    turn: int
    is_noted: bool = False


class Outstanding(msgspec.Struct, eq=False):
    """A call that has no answer. Where it `is_lost`, it takes up no room any more."""

    call: Dispatched
    sent: Sent
    is_lost: bool = False


class UnderWay:
    """Every call that has no answer. `ended` is called for each whose answer does not come."""

    def __init__(
        self, is_awaited: Callable[[Dispatched], bool], ended: Callable[[Sent, int], None]
    ) -> None:
        self._is_awaited = is_awaited
        self._ended = ended
        self._by_place: dict[_Place, Outstanding] = {}
        self._sweep_at = 0

    def __len__(self) -> int:
        return len(self._by_place)

    def add(self, line: Line, gates: list[Gate], unit: Unit, now: int) -> None:
        """A unit goes out."""
        turn = line.breaker.turn if line.breaker is not None else 0
        sent = Sent(line, gates, unit, len(unit.calls), now, turn)
        line.begun(turn)
        for call in unit.calls:
            asked = call.call
            place = (call.key, asked.step.id, asked.visit, asked.attempt)
            self._by_place[place] = Outstanding(call, sent)

    def take(self, key: bytes, answer: Answer | Deferred | Parked) -> Outstanding | None:
        """The call that this is the answer of; None where it has none, or had it already."""
        return self._by_place.pop((key, answer.step, answer.visit, answer.attempt), None)

    def sweep(self, now: int) -> None:
        """Answers that do not come take up no room, and are forgotten when nobody waits for them:
        one that comes late after all still says whether the other side was reached.
        """
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_MS
        late = [
            (place, one)
            for place, one in self._by_place.items()
            if now > one.sent.at + one.call.call.step.timeout_ms + GRACE_MS
        ]
        for place, one in late:
            if not one.is_lost:
                one.is_lost = True
                self._ended(one.sent, now)
            if not self._is_awaited(one.call):
                del self._by_place[place]
