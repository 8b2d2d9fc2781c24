"""The breaker of one connection: what follows when the other side cannot be reached.

    closed ──five failures in a row──> open ──a probe reaches it──> trying ──enough do──> closed
                                        ▲ │ one probe at a time       │
                                        └─┴──────── a failure ────────┘

While it is open nothing is called but probes, each after a longer wait. While it is trying, one
call goes at a time, then two, then four: who has just got up is not run over by all that waited.
"""

from __future__ import annotations

from typing import Literal

FAILURES = 5
FIRST_MS = 1_000
PROBE_MOST_MS = 30_000
AWAY_MOST_MS = 120_000  # the longest that a step is parked before it looks again
ALL = 64  # as many at a time, and it is closed again

State = Literal["closed", "open", "trying"]


class Breaker:
    """Counts what was told of a connection; times are Unix milliseconds. `turn` numbers its
    states: what was called in an earlier one says nothing about the present.
    """

    def __init__(self) -> None:
        self.state: State = "closed"
        self.turn = 0
        self.since = 0  # of the outage
        self.failures = 0  # in a row
        self.probe_at = 0
        self.last_error = ""
        self.last_error_at = 0
        self._wait_ms = FIRST_MS
        self._has_prober = False  # a parked call comes back when the next probe is due
        self._at_a_time = 1
        self._reached = 0

    def room(self, now: int) -> int | None:
        """How many may be under way at a time; None: as many as like."""
        if self.state == "closed":
            return None
        if self.state == "open":
            return 1 if now >= self.probe_at else 0
        return self._at_a_time

    def failed(self, now: int, reason: str, turn: int) -> bool:
        """A call found nobody. Tells whether the breaker opens by it."""
        self.last_error, self.last_error_at = reason, now
        if turn != self.turn:
            return False
        self.failures += 1
        if self.state == "closed":
            if self.failures < FAILURES:
                return False
            self.since = now
            self._open(now, FIRST_MS)
            return True
        longer = self._wait_ms * 2 if self.state == "open" else FIRST_MS
        self._open(now, min(longer, PROBE_MOST_MS))
        return False

    def reached(self, turn: int) -> bool:
        """A call reached the other side. Tells whether an outage ends by it."""
        if turn != self.turn:
            return False
        self.failures = 0
        if self.state == "closed":
            return False
        if self.state == "open":
            self.turn += 1
            self.state, self._at_a_time, self._reached = "trying", 2, 0
            return True
        self._reached += 1
        if self._reached >= self._at_a_time:
            self._at_a_time, self._reached = self._at_a_time * 2, 0
            if self._at_a_time >= ALL:
                self.close()
        return False

    def close(self) -> None:
        """Calls go out again, whatever was."""
        self.turn += 1
        self.state, self.failures = "closed", 0

    def again_at(self, now: int, spread: float) -> int:
        """When a call that found nobody, or may not go, is to come back. `spread` from 0 to 1 keeps
        calls apart. One comes for the next probe; the others wait about as long as the outage has
        lasted, so that a long one does not fill their journals.
        """
        if self.state == "closed":
            wait = FIRST_MS << max(0, self.failures - 1)  # there are less than five
            return now + round(wait * (0.8 + 0.4 * spread))
        if self.state == "trying":
            return now + round(FIRST_MS * (1 + spread))
        if not self._has_prober and self.probe_at > now:
            self._has_prober = True
            return self.probe_at
        lasted = min(max(now - self.since, 2 * self._wait_ms), AWAY_MOST_MS)
        return max(self.probe_at, now) + round(lasted * (0.25 + 0.75 * spread))

    def _open(self, now: int, wait_ms: int) -> None:
        self.turn += 1
        self.state = "open"
        self._wait_ms, self.probe_at, self._has_prober = wait_ms, now + wait_ms, False
