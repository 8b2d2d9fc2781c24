"""The sources of a seed that hold back what they accept: drawn, and written as people write them.

Each is read by the hub's own reader, so that what is simulated is what a home's file would do. Some
have second settings, to which a person switches while requests wait.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from beltline.definition.source import Source, read_source
from tests.simulation.record import Terms

LONG_MS = 3_600_000  # a window that is longer than this goes by stamps after a restart


class Drawn(NamedTuple):
    """A source: its settings, and those that it is switched to, if any; `sent` requests come."""

    name: str
    process: str
    settings: tuple[Terms, ...]
    sent: int
    lines: int  # how many values of its key there are
    pauses: tuple[bool, ...]  # what people do to it, in order: pause (or resume)
    let_go: int  # how often people let some go,
    dropped: int  # drop some,
    moved: int  # and put some first or last


class Buffering(NamedTuple):
    """What a seed has of buffers; `steps_of_clock` is how often the machine's clock is set."""

    sources: tuple[Drawn, ...] = ()
    steps_of_clock: int = 0
    few_faults: bool = False


def draw_buffering(seed: int, processes: list[str]) -> Buffering:
    """What a seed has; every second has nothing. It has a chance of its own, so that all else of a
    seed stays as it was.
    """
    chance = Random(f"buffers {seed}")
    if chance.random() >= 0.5:
        return Buffering()
    number = chance.choice((1, 1, 2, 3))
    return Buffering(
        tuple(_source(chance, f"source-{n}", chance.choice(processes)) for n in range(number)),
        chance.choice((0, 0, 1, 2)),
        chance.random() < 0.4,
    )


def _source(chance: Random, name: str, process: str) -> Drawn:
    first = _terms(chance)
    settings = [first]
    if chance.random() < 0.3:
        other = _terms(chance)
        if other.keeps_order == first.keeps_order:  # else what waits would have no key
            settings.append(msgspec.structs.replace(other, passes_stopped=first.passes_stopped))
    is_handled = chance.random() < 0.5
    return Drawn(
        name,
        process,
        tuple(settings),
        sent=chance.randint(2, 10),
        lines=chance.choice((1, 2, 3)),
        pauses=chance.choice(((), (), (True, False), (True,), (False,))) if is_handled else (),
        let_go=chance.choice((0, 1, 2)) if is_handled else 0,
        dropped=chance.choice((0, 1, 2)) if is_handled else 0,
        moved=chance.choice((0, 0, 1)) if is_handled else 0,
    )


def _terms(chance: Random) -> Terms:
    kind = chance.choice(("rate", "rate", "rate", "at-once", "collect", "schedule", "paused"))
    keeps_order = kind in ("rate", "at-once") and (kind == "at-once" or chance.random() < 0.4)
    has_priority = kind == "rate" and not keeps_order and chance.random() < 0.5
    every_ms = chance.choice((500, 1_000, 3_000, 6_000, 12_000, 7_200_000))
    return Terms(
        kind,
        at_most=chance.randint(1, 4) if kind in ("rate", "schedule") else 0,
        every_ms=every_ms if kind == "rate" else 0,
        is_spread=kind == "rate" and every_ms < LONG_MS and chance.random() < 0.25,
        collect=chance.randint(2, 4) if kind == "collect" else 0,
        or_after_ms=chance.choice((1_000, 4_000)) if kind == "collect" else 0,
        keeps_order=keeps_order,
        passes_stopped=keeps_order and chance.random() < 0.5,
        ageing_ms=chance.choice((500, 2_000, 10_000)) if has_priority else 0,
        expires_ms=chance.choice((4_000, 12_000)) if chance.random() < 0.2 else 0,
    )


def source_of(drawn: Drawn, terms: Terms) -> Source:
    """The source as the hub reads it."""
    lines = [f"source: {drawn.name}", "kind: webhook", f"process: {drawn.process}", "verify: none"]
    lines.append(f"release: {_release(terms)}")
    if terms.keeps_order:
        lines.append('key: "{{ request.line }}"')
        lines.append(f"on_stopped: {'pass' if terms.passes_stopped else 'hold'}")
    if terms.ageing_ms:
        lines.append('priority: "{{ request.urgent }}"')
        lines.append(f"ageing: {terms.ageing_ms}ms")
    if terms.expires_ms:
        lines.append(f"expires: {terms.expires_ms}ms")
    text = "\n".join([*lines, ""])
    checked = read_source(text, name=drawn.name, file=f"{drawn.name}.yaml", processes=None)
    assert checked.source is not None, checked.findings
    return checked.source


def _release(terms: Terms) -> str:
    if terms.kind == "rate":
        spread = ", spread: true" if terms.is_spread else ""
        return f"{{at_most: {terms.at_most}, every: {terms.every_ms}ms{spread}}}"
    if terms.kind == "collect":
        return f"{{collect: {terms.collect}, or_after: {terms.or_after_ms}ms}}"
    if terms.kind == "schedule":
        return f'{{schedule: "* * * * *", timezone: UTC, at_most: {terms.at_most}}}'
    return terms.kind
