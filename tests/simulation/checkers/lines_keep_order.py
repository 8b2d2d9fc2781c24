"""Of one key requests go one after the other, in the order in which they came: the next one when
the run of the one before has ended, or has stopped where that is passed.

What a person drops, or what was too late, was never under way: nobody waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.simulation.record import Departure, Record

ENDS = ("run-completed", "run-cancelled")


def check(record: Record) -> Iterator[str]:
    """Goes along every line."""
    lines: dict[tuple[str, str], list[tuple[Departure, bytes]]] = {}
    for departure in record.departures:
        terms = record.sources.get(departure.source)
        if terms is None or not terms.keeps_order or departure.message:
            continue
        for key in departure.keys:
            line = json.loads(record.requests[key].body)["line"]
            lines.setdefault((departure.source, line), []).append((departure, key))
    over = _over(record)
    for (source, line), gone in lines.items():
        passes = record.sources[source].passes_stopped
        for text in _one_by_one(gone, over, passes=passes):
            yield f"{source}, {line!r}: {text}"
        for text in _as_they_came(record, [key for _, key in gone]):
            yield f"{source}, {line!r}: {text}"
        if record.nodes == 1 and not passes:
            for text in _calls(record, gone):
                yield f"{source}, {line!r}: {text}"


def _over(record: Record) -> dict[bytes, tuple[int | None, int | None]]:
    """In which step each run had ended, and in which it had first stopped."""
    found = {}
    for key, facts in record.journals().items():
        ended = min((fact.at for fact in facts if fact.name in ENDS), default=None)
        stopped = min((fact.at for fact in facts if fact.name == "run-stopped"), default=None)
        found[key] = (ended, stopped)
    return found


def _one_by_one(
    gone: list[tuple[Departure, bytes]],
    over: dict[bytes, tuple[int | None, int | None]],
    *,
    passes: bool,
) -> Iterator[str]:
    for number, (departure, key) in enumerate(gone):
        for _, before in gone[:number]:
            ended, stopped = over.get(before, (None, None))
            until = [at for at in (ended, stopped if passes else None) if at is not None]
            if not until or min(until) > departure.at:
                yield f"{key.hex()} went while {before.hex()} was under way"


def _as_they_came(record: Record, gone: list[bytes]) -> Iterator[str]:
    """Who was told that it was accepted before another one was sent goes before it; of several
    nodes each has a clock of its own, so this holds for what one of them took in.
    """
    sent = {s.key: s for s in record.sendings if s.told == "accepted"}
    for number, key in enumerate(gone):
        for later in gone[number + 1 :]:
            if key not in sent or later not in sent:
                continue
            first, second = sent[later], sent[key]
            is_same_life = first.life == second.life
            if first.told_at < second.sent_at and (record.nodes == 1 or is_same_life):
                yield f"{key.hex()} went before {later.hex()}, which had come before it"


def _calls(record: Record, gone: list[tuple[Departure, bytes]]) -> Iterator[str]:
    """What the receiving side saw: nothing of one comes after the next one has gone."""
    last: dict[bytes, int] = {}
    for call in record.calls:
        last[call.key] = call.at
    for number, (departure, _) in enumerate(gone):
        for _, before in gone[:number]:
            if last.get(before, 0) > departure.at:
                yield f"{before.hex()} was called after the one behind it had gone"
