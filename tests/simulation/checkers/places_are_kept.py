"""Whose turn it is goes by priority and by how long each has waited: a point of priority is worth
so much of waiting as the source says, so that nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Departure, Record, Sending


def check(record: Record) -> Iterator[str]:
    """Compares what went with what waited then; people may have put requests elsewhere."""
    sent = {s.key: s for s in record.sendings if s.told == "accepted" and s.held}
    for name, terms in record.sources.items():
        if terms.keeps_order or terms.kind == "collect" or name in record.switched:
            continue
        if record.places.get(name):
            continue
        own = [d for d in record.departures if d.source == name]
        places = {
            key: (record.requests[key].accepted_at - one.urgent * terms.ageing_ms, key)
            for key, one in sent.items()
            if one.source == name
        }
        for text in _of_source(own, sent, places):
            yield f"{name}: {text}"


def _of_source(
    departures: list[Departure], sent: dict[bytes, Sending], places: dict[bytes, tuple[int, bytes]]
) -> Iterator[str]:
    left_at = {key: departure.at for departure in departures for key in departure.keys}
    for departure in departures:
        if departure.how != "released" or not departure.keys:
            continue
        last = max((places[key] for key in departure.keys if key in places), default=None)
        waited = [
            place
            for key, place in places.items()
            if sent[key].told_at < departure.at < left_at.get(key, departure.at + 1)
        ]
        if last is not None and waited and min(waited) < last:
            behind, before = last[1].hex(), min(waited)[1].hex()
            yield f"{behind} went before {before}, whose turn it was"
