"""No more requests leave a buffer than its rate or its schedule says, in any window, wherever that
begins and whatever the clocks of the machines say: true time counts.

What a takeover finds released and never called goes at that moment, too. A window counts as long as
a source's settings stay: every other rate begins anew. One that is longer than an hour goes by
stamps after the start of an only node, and so by the clock of its machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

from tests.simulation.record import Departure, Record, Terms

LONG_MS = 3_600_000

Uses = list[tuple[int, int]]  # true times, and how many went then


def check(record: Record) -> Iterator[str]:
    """Counts what every window let go."""
    recounts = _recounts(record) if record.nodes > 1 else {}
    for name in record.sources:
        own = [d for d in record.departures if d.source == name and d.how == "released"]
        terms = record.sources[name]
        if terms.kind == "schedule" and name not in record.switched:
            for text in _of_schedule(own, terms.at_most):
                yield f"{name}: {text}"
        for window, departures in groupby(own, key=lambda departure: departure.window):
            if window is None:
                continue
            at_most, every_ms = window
            if name not in record.switched and window != _window_of(terms):
                yield f"{name}: {at_most} in {every_ms} ms is not what its settings say"
            if every_ms > LONG_MS and record.nodes == 1 and record.clock_was_set:
                continue
            for text in _of_rate(list(departures), at_most, every_ms, recounts.get(name, [])):
                yield f"{name}: {text}"


def _of_schedule(departures: list[Departure], at_most: int) -> Iterator[str]:
    """At a due time goes what came before it, up to its number, and nothing of earlier times."""
    went: dict[int, int] = {}
    for departure in departures:
        due = departure.due
        if due is None:
            continue
        if went and due < max(went):
            yield f"{due} was due, and {max(went)} had been before"
        went[due] = went.get(due, 0) + len(departure.keys)
        if went[due] > at_most:
            yield f"{went[due]} went when {due} was due, {at_most} may"
        if any(int.from_bytes(key[:6]) >= due for key in departure.keys):
            yield f"what came later went when {due} was due"


def _window_of(terms: Terms) -> tuple[int, int]:
    """What is spread goes one by one."""
    if terms.is_spread:
        return 1, math.ceil(terms.every_ms / terms.at_most)
    return terms.at_most, terms.every_ms


def _of_rate(
    departures: list[Departure], at_most: int, every_ms: int, recounts: Uses
) -> Iterator[str]:
    went: Uses = []
    for departure in departures:
        if not departure.keys:
            continue
        went.append((departure.now, len(departure.keys)))
        again = [use for use in recounts if departures[0].now <= use[0] <= departure.now]
        used = sum(n for at, n in [*went, *again] if at > departure.now - every_ms)
        if used > at_most:
            yield f"{used} went within {every_ms} ms until {departure.now}, {at_most} may"


def _recounts(record: Record) -> dict[str, Uses]:
    """By source: when runs were taken over that a window had let go, and of which nothing was ever
    decided.
    """
    released = {
        key: departure.source
        for departure in record.departures
        if departure.window is not None
        for key in departure.keys
    }
    begun: set[bytes] = set()
    movers: dict[bytes, int] = {}
    found: dict[str, Uses] = {}
    for note in record.notes:
        if note.what == "took":
            movers.update(dict.fromkeys(note.keys, note.member))
        elif note.what == "wrote":
            begun.update(note.keys)
        elif note.what == "ended":
            own = [key for key, member in movers.items() if member == note.member]
            for key in own:
                del movers[key]
                if not note.own and key in released and key not in begun:
                    found.setdefault(released[key], []).append((note.now, 1))
    return found
