"""Files of a folder of this machine, or one that is mounted there."""

from __future__ import annotations

import asyncio
import os
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from beltline.sources.door import FeedTrouble
from beltline.sources.files.place import Entry, FileGone, Listing, Place, names_for


class LocalFolder(Place):
    """A `Place` that is a folder. Its calls run in threads: a mounted folder may hang."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def entries(self, pattern: str, most: int) -> Listing:
        return await asyncio.to_thread(self._entries, pattern, most)

    async def open(self, entry: Entry) -> BinaryIO:
        return await asyncio.to_thread(self._open, entry)

    async def put_away(self, entry: Entry, folder: str, note: str) -> None:
        await asyncio.to_thread(self._put_away, entry, folder, note)

    async def delete(self, entry: Entry) -> None:
        await asyncio.to_thread((self._path / entry.name).unlink, missing_ok=True)

    def _entries(self, pattern: str, most: int) -> Listing:
        found: list[Entry] = []
        try:
            with os.scandir(self._path) as listed:
                for one in listed:
                    if one.name.startswith(".") or not fnmatchcase(one.name, pattern):
                        continue
                    if len(found) == most:
                        return Listing(found, more=True)
                    entry = _entry(one)
                    if entry is not None:
                        found.append(entry)
        except (FileNotFoundError, NotADirectoryError):
            raise FeedTrouble(f"there is no folder {self._path}") from None
        return Listing(found, more=False)

    def _open(self, entry: Entry) -> BinaryIO:
        # Who may write into the folder could put a link there to what only the hub may read.
        try:
            number = os.open(self._path / entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise FileGone(entry.name) from None
        if not S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise FileGone(entry.name)
        return os.fdopen(number, "rb")

    def _put_away(self, entry: Entry, folder: str, note: str) -> None:
        target = self._path / folder
        target.mkdir(exist_ok=True)
        source = self._path / entry.name
        try:
            name = next(name for name in names_for(entry) if _moved(source, target / name))
        except FileNotFoundError:
            return
        if note:
            (target / f"{name}.reason.txt").write_text(note, encoding="utf-8")


def _entry(one: os.DirEntry[str]) -> Entry | None:
    try:
        if not one.is_file(follow_symlinks=False):
            return None
        about = one.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    version = f"{about.st_size}-{about.st_mtime_ns}"
    return Entry(one.name, about.st_size, about.st_mtime_ns // 1_000_000, version)


def _moved(source: Path, target: Path) -> bool:
    """Moves a file to where there is none; False where there is one."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            return False
        source.rename(target)
        return True
    source.unlink()
    return True
