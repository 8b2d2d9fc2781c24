"""An outside event comes to exactly those runs that its sender was told of, once to each; and where
it came to none, none was waiting for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Brought, Fact, Record

NEVER = 2**62


def check(record: Record) -> Iterator[str]:
    """Compares what senders were told with the journals."""
    journals = record.journals()
    seen: dict[str, list[bytes]] = {}
    for key, facts in journals.items():
        rows = {
            (fact.result["event"] if fact.name == "step-completed" else fact.id, fact.row)
            for fact in facts
            if fact.name == "event-late" or _is_given(fact)
        }
        for id, _ in rows:
            seen.setdefault(id, []).append(key)
    for event in record.events:
        runs = seen.get(event.id, [])
        if len(runs) != len(set(runs)):
            yield f"the event {event.id} came twice to one run"
        if event.is_told and event.runs > len(runs):
            yield f"the event {event.id} was given to {event.runs} runs, and {len(runs)} saw it"
        if event.is_told and not runs:
            for key, facts in journals.items():
                for text in _overlooked(event, facts):
                    yield f"run {key.hex()} {text}"


def _is_given(fact: Fact) -> bool:
    is_object = fact.name == "step-completed" and isinstance(fact.result, dict)
    return is_object and "event" in fact.result


def _overlooked(event: Brought, facts: list[Fact]) -> Iterator[str]:
    """Visits that an event should have come to, which nobody has seen."""
    for number, fact in enumerate(facts):
        if fact.name != "event-awaited" or (fact.fields["name"], fact.key) != event.place:
            continue
        later = facts[number + 1 :]
        end = next((other for other in later if _ends(other, fact)), None)
        if end is not None and end.at == fact.at:
            continue  # one commit had both: it never waited
        if any(_is_given(other) or _is_late(other, event) for other in later):
            continue  # another event came, or was on its way to the run
        ended_at = NEVER if end is None else end.at
        if fact.at < event.sent_at and ended_at > event.told_at:
            yield f"waited at {fact.step} when {event.id} came, and was not given it"
        elif fact.at > event.told_at and fact.time < event.keep_until:
            yield f"waited at {fact.step} while {event.id} was kept, and was not given it"


def _is_late(fact: Fact, event: Brought) -> bool:
    return fact.name == "event-late" and (fact.fields["name"], fact.key) == event.place


def _ends(fact: Fact, awaited: Fact) -> bool:
    if fact.name in ("run-cancelled", "run-completed", "undo-started"):
        return True
    visit = fact.fields.get("step"), fact.fields.get("visit")
    return visit == (awaited.step, awaited.visit) and fact.name != "event-awaited"
