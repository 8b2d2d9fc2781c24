"""A source of files at work.

    list ──> unchanged for a while ──> rows, or the whole ──offer──> commit ──> move or delete

A file is done with once all of it is durable; only then is it put away. Wherever that is broken
off, the next look reads the file again, and what was taken is recognised: by the file's name, its
version, the row's number and content.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import orjson

from beltline.core.explanation import moment
from beltline.definition.files import FileFormat, FilesWay
from beltline.sources.door import Door, FeedTrouble, Offering
from beltline.sources.files.ledger import Done, Ledger
from beltline.sources.files.place import (
    DONE,
    FAILED,
    Entry,
    FileGone,
    FileTrouble,
    FileUnfit,
    Place,
)
from beltline.sources.files.rows import Row, read_rows, read_text, text_of
from beltline.sources.json_body import read_json
from beltline.sources.refusal import RequestRefused
from beltline.sources.rounds import Rounds
from beltline.sources.surroundings import Surroundings

_TOLD_ROWS = 100  # in the note of a file; the others are counted
_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}


class FilesFeed:
    """The feed of one source of files; `place` opens where they are."""

    def __init__(
        self,
        way: FilesWay,
        door: Door,
        around: Surroundings,
        rounds: Rounds,
        place: Callable[[], Place],
    ) -> None:
        self._way = way
        self._door = door
        self._clock = around.clock
        self._limits = around.limits
        self._rounds = rounds
        self._place = place

    async def run(self) -> None:
        """Looks for as long as it is let."""
        while True:
            await self._rounds.begin()
            await self._look()
            self._rounds.done()

    async def _look(self) -> None:
        ledger = Ledger(await self._door.cursor())
        troubles: list[str] = []
        try:
            async with self._place() as place:
                listing = await place.entries(self._way.pattern, self._limits.source_files)
                if not listing.more:
                    ledger.keep_only(entry.name for entry in listing.entries)
                for entry in sorted(listing.entries, key=lambda one: (one.modified_ms, one.name)):
                    await self._see_to(place, entry, ledger, troubles)
        finally:
            if ledger.has_changed:
                await self._door.move_on(ledger.cursor)
        if listing.more and self._way.then == "keep":
            troubles.append(
                f"more than {self._limits.source_files:,} files (limit source_files): the others"
                " are not seen while all are kept; narrow the pattern, or move them"
            )
        if troubles:
            more = f", and {len(troubles) - 1} more such" if len(troubles) > 1 else ""
            raise FeedTrouble(f"{troubles[0]}{more}")

    async def _see_to(
        self, place: Place, entry: Entry, ledger: Ledger, troubles: list[str]
    ) -> None:
        """Takes one file as far as it goes; what is wrong with it does not keep the others."""
        done = ledger.done(entry)
        try:
            if done is None:
                if not ledger.settled(entry, self._clock.now(), self._way.settle_ms):
                    return
                done = ledger.is_done(entry, await self._taken(place, entry))
            if await self._is_put_away(place, entry, done):
                ledger.is_gone(entry.name)
        except FileGone:
            ledger.is_gone(entry.name)
        except FileTrouble as wrong:
            troubles.append(f"{entry.name}: {wrong}")
        except OSError as wrong:
            troubles.append(f"{entry.name}: {wrong.strerror or wrong}")

    async def _is_put_away(self, place: Place, entry: Entry, done: Done) -> bool:
        """What the file asks for, now that all of it is durable; False where it stays."""
        if self._way.then == "keep":
            return False
        if done.note:
            await place.put_away(entry, FAILED, done.note)
        elif self._way.then == "delete":
            await place.delete(entry)
        else:
            await place.put_away(entry, DONE, "")
        return True

    # What is in a file

    async def _taken(self, place: Place, entry: Entry) -> str:
        """Has all of a file made durable; gives what of it cannot be taken, for its note."""
        try:
            if self._way.each == "row":
                return await self._take_rows(place, entry)
            return await self._take_whole(place, entry)
        except FileUnfit as unfit:
            self._note(entry, str(unfit))
            return self._refused(entry, [str(unfit)], 1)

    async def _take_whole(self, place: Place, entry: Entry) -> str:
        most = self._limits.request_body_bytes
        if entry.size > most:
            raise FileUnfit(
                f"it has {entry.size:,} bytes, more than {most:,} (limit request_body_bytes)"
            )
        with await place.open(entry) as file:
            raw = await asyncio.to_thread(file.read, most + 1)
        if len(raw) > most:
            raise FileUnfit(f"it has more than {most:,} bytes (limit request_body_bytes)")
        value = self._whole(raw, self._format(entry))
        [answer] = await self._door.offer_many([self._offering(entry, 0, value)])
        return (
            self._refused(entry, [answer.detail], 1) if isinstance(answer, RequestRefused) else ""
        )

    def _whole(self, raw: bytes, format: FileFormat) -> Any:
        if format != "json":
            return {"text": read_text(raw, self._way.encoding)}
        try:
            return read_json(
                read_text(raw, self._way.encoding).encode(), depth=self._limits.request_depth
            )[0]
        except RequestRefused as wrong:
            raise FileUnfit(f"{wrong.detail} {wrong.where}".rstrip()) from wrong

    async def _take_rows(self, place: Place, entry: Entry) -> str:
        most, format = self._limits.source_file_bytes, self._format(entry)
        if format not in ("csv", "jsonl"):
            raise FileUnfit("it has no rows: files of rows end in .csv or .jsonl")
        if entry.size > most:
            raise FileUnfit(
                f"it has {entry.size:,} bytes, more than {most:,} (limit source_file_bytes)"
            )
        delimiter = self._way.delimiter or ("\t" if entry.name.endswith(".tsv") else "")
        wrong: list[str] = []
        count = 0
        with text_of(await place.open(entry), self._way.encoding) as text:
            rows = read_rows(text, format, delimiter, self._limits)
            while True:
                batch, end = await asyncio.to_thread(_some, rows, self._limits.feed_batch)
                reasons = await self._take_batch(entry, batch)
                if isinstance(end, FileUnfit):
                    self._note(entry, str(end))
                    reasons.append(f"{end}; nothing after it was read")
                count += len(reasons)
                wrong += reasons[: _TOLD_ROWS - len(wrong)]
                if end is not None:
                    break
        return self._refused(entry, wrong, count) if wrong else ""

    async def _take_batch(self, entry: Entry, batch: list[Row]) -> list[str]:
        """Offers rows; gives what is wrong with those that cannot be taken."""
        wrong = []
        for row in batch:
            if row.unfit:
                self._note(entry, row.unfit, row.number)
                wrong.append(f"row {row.number}: {row.unfit}")
        fit = [row for row in batch if not row.unfit]
        answers = await self._door.offer_many(
            [self._offering(entry, row.number, row.value) for row in fit]
        )
        wrong += [
            f"row {row.number}: {answer.detail}"
            for row, answer in zip(fit, answers, strict=True)
            if isinstance(answer, RequestRefused)
        ]
        return wrong

    def _offering(self, entry: Entry, row: int, value: Any) -> Offering:
        return Offering(value, _about(entry, row), _identity(entry, row, value))

    def _note(self, entry: Entry, reason: str, row: int = 0) -> None:
        """Keeps the verdict of what cannot be read, and so was never offered."""
        self._door.note(RequestRefused(422, "unreadable-file", reason), meta=_about(entry, row))

    def _format(self, entry: Entry) -> FileFormat:
        ending = PurePath(entry.name).suffix.lower()
        return self._way.format or _FORMATS.get(ending, "text")

    def _refused(self, entry: Entry, wrong: list[str], count: int) -> str:
        """The note of a file of which something cannot be taken; it is told here, too."""
        for reason in wrong:
            self._door.refused(f"{entry.name}: {reason}")
        if count > len(wrong):
            wrong = [*wrong, f"and {count - len(wrong):,} more rows"]
        return "\n".join(wrong) + "\n"


def _about(entry: Entry, row: int) -> dict[str, Any]:
    """What a request's `meta` says of its file."""
    about = {
        "name": entry.name,
        "size": entry.size,
        "modified": moment(entry.modified_ms),
        **({"row": row} if row else {}),
    }
    return {"file": about}


def _identity(entry: Entry, row: int, value: Any) -> str:
    """The name of what a file brings, for as long as the file stays the same."""
    told = orjson.dumps([entry.name, entry.modified_ms, entry.version, row])
    return hashlib.blake2b(told + orjson.dumps(value), digest_size=16).hexdigest()


def _some(rows: Iterator[Row], most: int) -> tuple[list[Row], Exception | None]:
    """The next rows, and what ended them: `StopIteration`, or `FileUnfit` where the file can be
    read no further; None where there may be more.
    """
    batch: list[Row] = []
    try:
        while len(batch) < most:
            batch.append(next(rows))
    except (StopIteration, FileUnfit) as end:
        return batch, end
    return batch, None
