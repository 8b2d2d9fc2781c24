"""What people are told of a run: why it stands where it stands, and its journal line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from beltline.core.events import Entry, StepCompleted, StepSkipped
from beltline.core.run import Run
from beltline.core.visit import Items, Visit


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands: `because` in words, `wake_at` the time (Unix ms) of the next look at
    it, None where only an answer or a person moves it on.
    """

    status: str
    because: str
    wake_at: int | None


def standing(run: Run) -> Standing:
    """Why the run does not end yet, or how it ended. No state is without a reason."""
    if run.ended:
        return Standing(run.status, f"it is {run.ended}", None)
    if not run.started:
        return Standing("moving", "it waits for its turn on the belt", None)
    reasons: list[str] = []
    for visit in run.open.values():
        where = f"{visit.step} (visit {visit.number})"
        if visit.phase == "dead":
            error = visit.error
            text = f"{error.kind}: {error.message}" if error else "failed"
            reasons.insert(0, f"{where} is a dead letter: {text}")
        elif visit.phase == "dispatched":
            reasons.append(f"{where} is under way, attempt {visit.attempt}")
        elif visit.phase == "deferred":
            reasons.append(
                f"{where} waits for the answer to attempt {visit.attempt}, until {moment(visit.at)}"
            )
        elif visit.phase == "backoff":
            message = visit.error.message if visit.error else "failed"
            reasons.append(f"{where} is tried again at {moment(visit.at)}: {message}")
        elif visit.phase == "parked":
            reasons.append(f"{where} {visit.reason}, until {moment(visit.at)}")
        else:
            reasons.append(f"{where} waits {_for_what(visit)}")
    for join, count in run.gathered.items():
        reasons.append(f"{count} gathered at {join}, which waits for the other ways to it")
    if run.undoing is not None:
        reasons.append(f"it is being undone, {len(run.undoing.left)} visits are left")
    return Standing(run.status, "; ".join(reasons), run.next_at)


def _for_what(visit: Visit) -> str:
    until = f"until {moment(visit.at)}" if visit.at else ""
    if visit.items is not None:
        return _for_items(visit.input, visit.items)
    awaited = visit.awaits
    if awaited is None:
        return until
    if awaited.kind == "approval":
        return f"for a person to decide {awaited.name!r}" + (f", {until}" if until else "")
    if awaited.kind == "child":
        halted = f", which stopped: {awaited.note}" if awaited.note else ""
        return f"for the run {awaited.key} of {awaited.name!r}{halted}"
    keyed = f" with the key {awaited.key!r}" if awaited.key else ""
    bound = f", {until}" if until else ""
    return f"for the event {awaited.name!r}{keyed}{bound}"


def _for_items(asked: Any, items: Items) -> str:
    done, total = len(items.results), len(asked["items"])
    text = f"for runs of {asked['process']!r}: {done} of {total} items are done"
    text += f", {len(items.under_way)} under way"
    for run, reason in items.halted.items():
        text += f"; {run} (item {items.under_way[run]}) stopped: {reason}"
    for item, error in items.failed.items():
        text += f"; item {item} failed: {error.message}"
    return text


def moment(at: int) -> str:
    """A moment as people read it: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds")


def journal_lines(entries: list[Entry]) -> list[dict[str, Any]]:
    """The journal, flat: one object an event, `{seq, at, event, step, visit, attempt, …}`; fields
    that say nothing are left out. `at` is ISO 8601.
    """
    lines = []
    seq = 0
    for entry in entries:
        at = moment(entry.at)
        for event in entry.events:
            fields = {
                name: value
                for name in event.__struct_fields__
                if (value := getattr(event, name)) is not None and value not in ("", ())
            }
            line: dict[str, Any] = {"seq": seq, "at": at, "event": event.__struct_config__.tag}
            line.update(msgspec.to_builtins(fields))
            if "to" in fields:
                line["to"] = list(fields["to"])
            lines.append(line)
            seq += 1
    return lines


def path_of(entries: list[Entry]) -> list[str]:
    """The step ids in order of completion."""
    return [
        event.step
        for entry in entries
        for event in entry.events
        if isinstance(event, StepCompleted | StepSkipped)
    ]
