"""Holds a round's source with a rate against what it promises. Nothing of the hub is imported here.

What left the buffer keeps to the rate in every window, whatever befalls the nodes. The receiving
side sees the same, except where a fault came between: what was let go and could not be called at
once comes with what is let go next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from tests.fleet.evidence import Spell
from tests.fleet.leads import Leads

STAMP_S = 0.3  # between the stamp that counts and what the trigger notes, on a busy machine
LATE_S = 0.6  # between a release and its call, on a busy machine
IDLE_S = 1.5  # how long room may be left unused: nodes look each second

Moments = Sequence[tuple[float, str]]


def judge_rate(
    leads: Leads, spells: Iterable[Spell], slack_s: float, *, at_most: int, every_s: float
) -> list[str]:
    """What is wrong, in words; `slack_s` is how long the effect of a fault may last."""
    known = list(spells)
    wrong = [*_lost(leads), *_released_too_often(leads.departures, at_most, every_s - STAMP_S)]
    wrong += _called_too_often(leads.called, known, slack_s, at_most, every_s)
    calm = max((spell.end for spell in known), default=0.0) + slack_s
    wrong += _unused(leads.departures, calm, every_s)
    return wrong


def _lost(leads: Leads) -> Iterator[str]:
    left = [key for _, key in leads.departures]
    for number, id in leads.told.items():
        if id not in leads.requests:
            yield f"lead {number}, request {id}, was acknowledged and is not there"
        elif leads.completed.get(id) != 1:
            yield f"lead {number}, request {id}: completed {leads.completed.get(id, 0)} times"
        if left.count(id) != 1:
            yield f"lead {number}, request {id}: left its buffer {left.count(id)} times"
    for id in leads.requests - set(leads.told.values()):
        yield f"request {id}, which no sender was told of"


def _crowds(moments: Moments, number: int, length_s: float) -> Iterator[tuple[float, float]]:
    """The begins and ends of more than so many within so short a time."""
    for (first, _), (last, _) in zip(moments, moments[number:], strict=False):
        if last - first < length_s:
            yield first, last


def _released_too_often(moments: Moments, at_most: int, length_s: float) -> Iterator[str]:
    for first, last in _crowds(moments, at_most, length_s):
        yield f"more than {at_most} left their buffer within {last - first:.3f} s from {first:.3f}"


def _called_too_often(
    called: Moments, spells: list[Spell], slack_s: float, at_most: int, every_s: float
) -> Iterator[str]:
    length_s = every_s - LATE_S
    for first, last in _crowds(called, 2 * at_most, length_s):
        yield f"more than {2 * at_most} were called within {last - first:.3f} s from {first:.3f}"
    for first, last in _crowds(called, at_most, length_s):
        since = first - every_s - slack_s
        if not any(spell.begin <= last and spell.end >= since for spell in spells):
            yield f"more than {at_most} were called within {last - first:.3f} s from {first:.3f}"


def _unused(moments: Moments, calm: float, every_s: float) -> Iterator[str]:
    for (before, _), (after, _) in pairwise(moments):
        if before >= calm and after - before > every_s + IDLE_S:
            yield f"nothing left its buffer for {after - before:.3f} s from {before:.3f}"
