"""One limit as this node keeps it: what it has drawn from the store and not spent yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from beltline.engine.limit_store import Ask, Quota, Rule
from beltline.engine.ports import Clock, Store, StoreAway, StoreFull

POLL_MS = 250  # how often to look for what calls of other nodes give back
POLL_MOST_MS = 1_000
AWAY_MS = 500
UNUSUAL = 4  # so many times as long as usual is not counted longer
DAY_MS = 86_400_000
QUOTA_WINDOW_MS = 25 * 3_600_000  # no day is longer


class Gate:
    """Draws for calls and accounts for them. `wait_ms` is how long the next refused call has to
    wait, about; `left` is what the bucket held when it was asked last.
    """

    def __init__(self, rule: Rule, store: Store, clock: Clock) -> None:
        self.rule = rule
        self._store = store
        self._clock = clock
        self._serial = 0
        self._held = 0
        self._spent = 0
        self._usual_ms = 0.0  # that calls took
        self._in_vain_since = 0  # it has granted nothing
        self._full_until = 0  # the day's quota is used up
        self.calls = 0  # under way
        self.wait_ms = 0
        self.left = 0.0
        self.has_news = False  # for the store: calls have ended

    @property
    def pace_ms(self) -> float:
        """How long it takes from one call to the next while many wait, about. A token that a call
        holds comes again only after its end: a small burst is slower than its rate.
        """
        gap_ms, most = self._gap_ms, self.rule.concurrency
        pace = max(gap_ms, (self._usual_ms + gap_ms) / self.rule.burst) if gap_ms else 0.0
        return pace if most is None else max(pace, self._usual_ms / most)

    @property
    def _gap_ms(self) -> float:
        """How long the bucket needs for a token."""
        return 1_000 / self.rule.rate_per_s if self.rule.rate_per_s else 0.0

    async def draw(self, costs: Sequence[int]) -> int:
        """How many of these calls may go now, from the first on. Nothing is known of how long the
        rest must wait but `wait_ms`.
        """
        self.has_news = False
        now = self._clock.now()
        if costs and now < self._full_until:
            self.wait_ms = self._full_until - now
            return 0
        self._serial += 1
        ask = Ask(self._serial, self._held, self.calls, self._spent, tuple(costs))
        try:
            drawn = await self._store.draw(self.rule, ask)
            granted, wait_ms = drawn.granted, drawn.wait_ms
            if granted and self.rule.quota is not None:
                granted = await self._of_quota(self.rule.quota, costs[:granted])
                if self._full_until > now:
                    wait_ms = self._full_until - now
        except (StoreAway, StoreFull):
            self.has_news = True
            self.wait_ms = AWAY_MS
            return 0
        self._held += sum(costs[:granted])
        self.calls += granted
        if granted or not self._in_vain_since:
            self._in_vain_since = now
        if wait_ms is None:
            # Nobody knows when the calls that are under way end: look less and less often.
            lasted = min(max(POLL_MS, now - self._in_vain_since), POLL_MOST_MS)
            wait_ms = lasted + round(self._gap_ms)
        self.wait_ms = wait_ms
        self.left = drawn.left
        return granted

    async def _of_quota(self, quota: Quota, costs: Sequence[int]) -> int:
        """How many of the calls the day's quota allows. Each weekday has a window of its own, so
        that what is counted is forgotten in time.
        """
        now = self._clock.now()
        weekday, midnight = day_of(now, quota.zone)
        name = f"quota {self.rule.name} {weekday}"
        used = await self._store.allow(name, sum(costs), quota.per_day, QUOTA_WINDOW_MS)
        left, number = used.granted, 0
        for cost in costs:
            if cost > left:
                self._full_until = midnight
                break
            left -= cost
            number += 1
        return number

    def give_back(self, cost: int) -> None:
        """A call that was granted does not go out."""
        self._held -= cost
        self.calls -= 1
        self.has_news = True

    def ended(self, cost: int, requests: int, took_ms: int) -> None:
        """A call has ended, after so many requests: more than it was to make count, too."""
        self.give_back(cost)
        self._spent += requests
        usual_ms = self._usual_ms or took_ms
        # One whose answer was lost says nothing of the others: those would come back too late.
        self._usual_ms = usual_ms + (min(took_ms, UNUSUAL * usual_ms) - usual_ms) / 8


def day_of(now: int, zone: str) -> tuple[int, int]:
    """The weekday there, and when it ends, in Unix milliseconds."""
    here = datetime.fromtimestamp(now / 1_000, ZoneInfo(zone))
    tomorrow = datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), here.tzinfo)
    return here.weekday(), round(tomorrow.astimezone(UTC).timestamp() * 1_000)
