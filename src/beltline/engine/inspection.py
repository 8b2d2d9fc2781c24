"""A run as people read it: its state folded from the journal, told in words and plain data.

Nothing here takes a run or changes it. What cannot be folded (a version whose modules are gone, a
row of a newer format) is told as such, with everything that can still be read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.core.commands import refusal
from beltline.core.events import Entry, Journal, StepCompleted, StepSkipped, UnknownFormat
from beltline.core.explanation import journal_lines, moment, path_of, standing
from beltline.core.inputs import Command
from beltline.core.run import Run, Status, new_run, replay
from beltline.engine.ids import id_of
from beltline.engine.loader import Processes, VersionUnusable
from beltline.engine.ports import NotFound, RunRecord, Store, StoredRun


class RequestView(msgspec.Struct, frozen=True):
    """What came in: `time` is ISO 8601, `headers` are those that are kept, `body` is any JSON.
    The last two are absent while the request is held back: a buffer is not for reading in.
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
    where only an answer or a person moves it on. `path` are the steps in order of completion,
    `journal` is one flat object an event.
    """

    id: str
    process: str
    version: int | None
    status: Status
    because: str
    wake_at: str | None
    request: RequestView
    document: dict[str, Any]
    path: list[str]
    journal: list[dict[str, Any]]


class Inspected(msgspec.Struct, frozen=True):
    """A run as the store has it. `run` is its folded state, None where there is none: `why_not`
    says why.
    """

    record: RunRecord
    document: dict[str, Any]
    entries: list[Entry]
    version: int | None
    run: Run | None
    why_not: str = ""

    def refusal(self, command: Command) -> str:
        """Why a person's command cannot be carried out; empty where it can."""
        return refusal(self.run, command) if self.run is not None else self.why_not

    def view(self) -> RunView:
        """What people are shown."""
        record, run = self.record, self.run
        status, because, wake_at = record.status, self.why_not, record.ready_at
        if run is not None:
            now = standing(run)
            status, because, wake_at = run.status, now.because, now.wake_at
        return RunView(
            id=id_of(record.key),
            process=record.process,
            version=self.version,
            status=status,
            because=because,
            wake_at=None if wake_at is None else moment(wake_at),
            request=_request_view(record, self.document),
            document=self.document,
            path=path_of(self.entries),
            journal=journal_lines(self.entries),
        )


async def inspect(store: Store, processes: Processes, key: bytes) -> Inspected:
    """Reads a run, or a request that is held back. Raises `NotFound`."""
    record, stored = await store.run(key)
    if stored is None:
        why = f"the source {record.source!r} holds it back in its buffer"
        return Inspected(record, {}, [], None, None, why)
    document = {
        "request": msgspec.json.decode(stored.body),
        "meta": msgspec.json.decode(stored.meta),
    }
    entries = _readable(stored)
    try:
        process = await processes.by_id(stored.version_id)
    except VersionUnusable as unusable:
        why = f"its version of the process cannot be used here: {unusable}"
        version = await _version_number(store, stored.version_id)
        return Inspected(record, _with_results(document, entries), entries, version, None, why)
    if len(entries) < len(stored.entries):
        why = "its journal was written by a newer version of Beltline, which is needed to read it"
        results = _with_results(document, entries)
        return Inspected(record, results, entries, process.version, None, why)
    size = len(stored.body) + len(stored.meta)
    run = new_run(id_of(key), key, process, document["request"], document["meta"], size)
    replay(run, entries)
    return Inspected(record, run.document, entries, process.version, run)


def _readable(stored: StoredRun) -> list[Entry]:
    """The journal up to the first row of a format that is not known here."""
    entries: list[Entry] = []
    for row in stored.entries:
        try:
            entries.append(Journal.decode(row))
        except UnknownFormat:
            break
    return entries


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
    if not document:
        return view
    headers = document["meta"].get("headers", {})
    return msgspec.structs.replace(view, headers=headers, body=document["request"])
