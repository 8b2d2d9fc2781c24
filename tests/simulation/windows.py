"""What is durable of windows: how often each was used, and when; and what a start does to them."""

from __future__ import annotations

import msgspec

from beltline.engine.ports import FULL_WINDOW_MS
from beltline.engine.records import Allowance, Window

ALL_OF_IT = 2_000_000_000


class Windows(msgspec.Struct):
    """The tables of windows. `uses` are pairs of a stamp and a number, `stamps` the last of each
    name, `lengths` the time that it was last counted over.
    """

    uses: dict[str, list[tuple[int, int]]] = {}
    stamps: dict[str, int] = {}
    lengths: dict[str, int] = {}

    def allow(self, name: str, wanted: int, at_most: int, every_ms: int, now: int) -> Allowance:
        """Counts uses of a window as far as there is room."""
        at = self.stamps[name] = max(now, self.stamps.get(name, 0))
        self.lengths[name] = every_ms
        uses = [use for use in self.uses.get(name, ()) if use[0] > at - every_ms]
        room = at_most - sum(number for _, number in uses)
        granted = max(0, min(wanted, room))
        if granted:
            uses.append((at, granted))
        self.uses[name] = uses
        oldest = min((stamp for stamp, _ in uses), default=at)
        return Allowance(granted, at, at if granted < room else oldest + every_ms)

    def room(self, window: Window, now: int) -> int:
        """How many uses a window has left."""
        at = max(now, self.stamps.get(window.name, 0))
        uses = [use for use in self.uses.get(window.name, ()) if use[0] > at - window.every_ms]
        return window.at_most - sum(number for _, number in uses)

    def begin_full(self, now: int) -> None:
        """After a start of the only node nobody knows what was called for just before the end, nor
        whether the clock was set: windows of releases that are not long begin full.
        """
        for name, length in self.lengths.items():
            if name.startswith("release ") and length <= FULL_WINDOW_MS:
                self.uses[name] = [(now, ALL_OF_IT)]
                self.stamps[name] = now  # nothing from before matters: nor does a clock set back

    def count_again(self, sources: dict[str, int], now: int, *, longer_than: int) -> None:
        """So many of these sources were let go, and perhaps not called for: they go now."""
        for source, number in sources.items():
            name = f"release {source}"
            if self.lengths.get(name, 0) > longer_than:
                at = max(now, self.stamps.get(name, 0))
                self.uses.setdefault(name, []).append((at, number))
