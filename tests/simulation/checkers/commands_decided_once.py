"""Every command of a person that was stored is decided on, once: it has its effect, or the journal
says why not.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Fact, Record


def check(record: Record) -> Iterator[str]:
    """Compares, run by run and kind by kind, what was asked with what the journal tells."""
    journals = record.journals()
    asked: dict[tuple[bytes, str], tuple[int, int]] = {}
    for command in record.commands:
        least, most = asked.get((command.key, command.kind), (0, 0))
        asked[command.key, command.kind] = (least + command.posted, most + 1)
    for departure in record.departures:
        for key in departure.keys if departure.message == "cancel" else ():
            least, most = asked.get((key, "cancel"), (0, 0))
            asked[key, "cancel"] = (least + (key in record.statuses), most + 1)
    children = {key for key, request in record.requests.items() if b"parent" in request.meta}
    for key in children:  # whose parents cancel them, once at most
        least, most = asked.get((key, "cancel"), (0, 0))
        asked[key, "cancel"] = (least, most + 1)
    for (key, kind), (least, most) in asked.items():
        facts = journals.get(key, [])
        told = len({fact.row for fact in _decided(facts) if _tells_of(fact) == kind})
        if not least <= told <= most:
            yield f"run {key.hex()}: {least} to {most} commands {kind!r}, {told} in the journal"
    for key, facts in journals.items():
        for fact in _decided(facts):
            told_kind = _tells_of(fact)
            if told_kind and (key, told_kind) not in asked:
                yield f"run {key.hex()}: nobody asked for {told_kind!r}"


def _decided(facts: list[Fact]) -> list[Fact]:
    """All but the end of what was undone: that was asked for when it began."""
    undone = {fact.reason for fact in facts if fact.name == "undo-started"}
    return [fact for fact in facts if fact.name != "run-cancelled" or fact.reason not in undone]


def _tells_of(fact: Fact) -> str:
    """The kind of command that an event is the outcome of; empty for other events."""
    if fact.name == "command-refused":
        return str(fact.command)
    if fact.name in ("run-cancelled", "undo-started"):
        return "cancel"
    is_object = fact.name == "step-completed" and isinstance(fact.result, dict)
    if is_object and "approved" in fact.result:
        return "resolve"
    if fact.name == "step-skipped":
        return "skip"
    if fact.name == "step-left":
        return "goto" if fact.to else "retry"
    if fact.name == "step-started" and fact.reason == "retried by a person":
        return "retry"
    return ""
