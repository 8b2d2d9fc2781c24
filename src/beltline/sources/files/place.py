"""What a source of files needs of the place where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import PurePath
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import msgspec

DONE = "done"
FAILED = "failed"


class Entry(msgspec.Struct, frozen=True):
    """A file as its place lists it. `version` changes with its size, its time, and whatever else
    the place tells of its content; `modified_ms` is Unix milliseconds.
    """

    name: str
    size: int
    modified_ms: int
    version: str


class Listing(msgspec.Struct, frozen=True):
    """Files, and whether there are more of them."""

    entries: list[Entry]
    more: bool


class FileGone(Exception):
    """The world: the file is not there any more."""


class FileTrouble(Exception):
    """The world: this file cannot be read or put away now; the text says why. Others may be."""


class FileUnfit(Exception):
    """The sender: the file, or a row of it, cannot be taken as it is. The text says why."""


class Place(Protocol):
    """Where files are, while it is open (`async with`). What goes wrong with one file is raised as
    `FileGone`, `FileTrouble` or `OSError`, and anything else as it is. Who inherits this needs to
    do nothing for being opened and closed.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def entries(self, pattern: str, most: int) -> Listing:
        """Up to `most` of the files whose names fit; no folders, no links, no hidden files."""
        ...

    async def open(self, entry: Entry) -> BinaryIO:
        """The content, to be read from its beginning and closed."""
        ...

    async def put_away(self, entry: Entry, folder: str, note: str) -> None:
        """Moves the file into a folder beside it, and puts `note` (unless it is empty) beside it
        there, as `NAME.reason.txt`. Nothing that is there already is lost. A file that is gone is
        put away.
        """
        ...

    async def delete(self, entry: Entry) -> None:
        """Deletes the file; one that is gone is deleted."""
        ...


def names_for(entry: Entry) -> Iterator[str]:
    """Names for a file in another folder: its own, and others where that is taken."""
    path = PurePath(entry.name)
    mark = hashlib.blake2b(entry.version.encode(), digest_size=4).hexdigest()
    yield entry.name
    for number in count(1):
        yield f"{path.stem}.{mark}-{number}{path.suffix}"
