"""Every decision about a run was recorded by the membership that moved it at that moment, and no
attempt of a step was made by two processes.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Record


def check(record: Record) -> Iterator[str]:
    """Follows memberships and runs through the notes of the store."""
    lasting: set[int] = set()
    movers: dict[bytes, int] = {}
    for note in record.notes:
        if note.what == "joined":
            lasting.add(note.member)
        elif note.what == "ended":
            lasting.discard(note.member)
        elif note.what == "took":
            for key in note.keys:
                movers[key] = note.member
        else:
            (key,) = note.keys
            if note.member not in lasting:
                yield f"run {key.hex()}: membership {note.member} decided after its end"
            elif movers.setdefault(key, note.member) != note.member:
                yield f"run {key.hex()}: decided by {note.member}, and {movers[key]} moves it"
    if record.nodes > 1:
        yield from _one_call_an_attempt(record)


def _one_call_an_attempt(record: Record) -> Iterator[str]:
    """Two processes that move one run call with one attempt."""
    made: dict[tuple[bytes, str, int, int], int] = {}
    for call in record.calls:
        place = (call.key, call.step, call.visit, call.attempt)
        if made.setdefault(place, call.life) != call.life:
            yield f"run {call.key.hex()}: two processes made attempt {call.attempt} of {call.step}"
