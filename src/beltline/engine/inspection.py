"""A run as people read it: its state folded from the journal, told in words and plain data.

Nothing here takes a run or changes it. What cannot be folded (a version whose modules are gone, a
row of a newer format or a damaged one) is told as such, with everything that can still be read: one
run that cannot be told must not keep people from the others.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from beltline.core.commands import refusal
from beltline.core.events import Entry, Journal, StepCompleted, StepSkipped, UnknownFormat
from beltline.core.explanation import Standing, journal_lines, moment, path_of, standing
from beltline.core.inputs import Command
from beltline.core.run import Run, Status, new_run, replay
from beltline.engine.ids import id_of
from beltline.engine.loader import Processes, VersionUnusable
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import RunRecord, StoredRun

# What rows that are damaged, or belong to another run, raise when they are read, folded and shown
# (OSError: a moment that no calendar has).
_DAMAGE = (ValueError, LookupError, RecursionError, OverflowError, OSError)

_NUMBERED = re.compile(rb"\[[0-9]+,")  # how a row of any format begins


class RequestView(msgspec.Struct, frozen=True):
    """What came in: `time` is ISO 8601, `headers` are those that are kept, `body` is any JSON.
    The last two are absent while the request is held back, since a buffer is not for reading in,
    and where they cannot be read.
    """

    id: str
    source: str
    time: str
    headers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    body: Any = msgspec.UNSET


class RunView(msgspec.Struct, frozen=True):
    """A run with all that is known of it.

    `version` is null for a request that its source holds back. `because` says in words why the
    run stands where it stands; `wake_at` (ISO 8601) is when it is looked at next by itself, null
    where only an answer or a person moves it on. `result` is that of a completed run: what its
    process gives as `output`, or the last completed step's. `path` are the steps in order of
    completion, `journal` is one flat object an event.
    """

    id: str
    process: str
    version: int | None
    status: Status
    because: str
    wake_at: str | None
    request: RequestView
    document: dict[str, Any]
    result: Any
    path: list[str]
    journal: list[dict[str, Any]]


class Inspected(msgspec.Struct, frozen=True):
    """A run as the store has it. `run` is its folded state and `stands` where it stands, None where
    there is no such state: `why_not` says why. `document` is empty where the request is not told.
    """

    record: RunRecord
    document: dict[str, Any]
    entries: list[Entry]
    version: int | None
    run: Run | None = None
    stands: Standing | None = None
    why_not: str = ""

    def refusal(self, command: Command) -> str:
        """Why a person's command cannot be carried out; empty where it can."""
        return refusal(self.run, command) if self.run is not None else self.why_not

    def view(self) -> RunView:
        """What people are shown."""
        record, run, stands = self.record, self.run, self.stands
        status, because, wake_at = record.status, self.why_not, record.ready_at
        if run is not None and stands is not None:
            status, because, wake_at = run.status, stands.because, stands.wake_at
        return RunView(
            id=id_of(record.key),
            process=record.process,
            version=self.version,
            status=status,
            because=because,
            wake_at=None if wake_at is None else moment(wake_at),
            request=_request_view(record, self.document),
            document=self.document,
            result=run.last_result if run is not None and run.ended == "completed" else None,
            path=path_of(self.entries),
            journal=journal_lines(self.entries),
        )


async def inspect(store: Store, processes: Processes, key: bytes) -> Inspected:
    """Reads a run, or a request that is held back. Raises `NotFound`."""
    record, stored = await store.run(key)
    if stored is None:
        why = f"the source {record.source!r} holds it back in its buffer"
        return Inspected(record, {}, [], None, why_not=why)
    document, why_not = _request_of(stored)
    entries, unread = _readable(stored)
    why_not = why_not or unread
    try:
        process = await processes.by_id(stored.version_id)
    except VersionUnusable as unusable:
        why = f"its version of the process cannot be used here: {unusable}"
        version = await _version_number(store, stored.version_id)
        return Inspected(record, _with_results(document, entries), entries, version, why_not=why)
    if not why_not:
        size = len(stored.body) + len(stored.meta)
        run = new_run(id_of(key), key, process, document["request"], document["meta"], size)
        try:
            replay(run, entries)
            stands = standing(run)
        except _DAMAGE as damage:
            why_not = f"its journal is damaged and cannot be followed: {_in_words(damage)}"
        else:
            return Inspected(record, run.document, entries, process.version, run, stands)
    results = _with_results(document, entries)
    return Inspected(record, results, entries, process.version, why_not=why_not)


def _request_of(stored: StoredRun) -> tuple[dict[str, Any], str]:
    """The document with the request alone; empty, with the reason, where it cannot be read."""
    try:
        request, meta = msgspec.json.decode(stored.body), msgspec.json.decode(stored.meta)
        if not isinstance(meta, dict):
            raise ValueError("its meta is no object")
    except _DAMAGE as damage:
        return {}, f"its request is damaged and cannot be read: {_in_words(damage)}"
    return {"request": request, "meta": meta}, ""


def _readable(stored: StoredRun) -> tuple[list[Entry], str]:
    """The journal up to the first row that cannot be read, and why it cannot."""
    entries: list[Entry] = []
    for number, row in enumerate(stored.entries, 1):
        try:
            entry = Journal.decode(row)
            moment(entry.at)  # what is shown of a row must be something that can be shown
        except _DAMAGE as damage:
            if isinstance(damage, UnknownFormat) and _NUMBERED.match(row):
                why = "its journal was written by a newer version of Beltline, which is needed to"
                return entries, f"{why} read it from row {number} on"
            return entries, f"row {number} of its journal is damaged: {_in_words(damage)}"
        entries.append(entry)
    return entries, ""


def _in_words(damage: Exception) -> str:
    return f"{type(damage).__name__}: {damage}"[:300]


async def _version_number(store: Store, version_id: int) -> int | None:
    try:
        return (await store.version_by_id(version_id)).version
    except NotFound:
        return None


def _with_results(document: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """The document as far as it can be told without the process: the results on record."""
    for entry in entries:
        for event in entry.events:
            if isinstance(event, StepCompleted | StepSkipped):
                document[event.step] = event.result
    return document


def _request_view(record: RunRecord, document: dict[str, Any]) -> RequestView:
    view = RequestView(id_of(record.key), record.source, moment(record.accepted_at))
    meta = document.get("meta")
    if not isinstance(meta, dict):
        return view
    headers = meta.get("headers", {})
    return msgspec.structs.replace(view, headers=headers, body=document["request"])
