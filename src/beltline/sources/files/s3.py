"""Objects of a bucket, below a prefix: those of the prefix itself, not of deeper ones.

A bucket knows no moving: an object is copied and then deleted. Broken off in between it stays
where it was, is read again and recognised, and is copied once more under another name.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import BinaryIO, cast

import obstore
from obstore.exceptions import BaseError

from beltline.clients.s3 import bucket_of
from beltline.definition.files import S3
from beltline.sdk import ClientFailed, Connection
from beltline.sources.door import FeedTrouble
from beltline.sources.files.place import Entry, FileGone, FileTrouble, Listing, Place, names_for

_CHUNK_BYTES = 262_144


class Bucket(Place):
    """A `Place` that is a prefix of a bucket. The connection's user is the id of the access key."""

    def __init__(self, where: S3, connection: Connection) -> None:
        self._prefix = where.prefix
        try:
            self._store = bucket_of(connection, where.bucket, where.region)
        except ClientFailed as wrong:
            raise FeedTrouble(str(wrong)) from wrong

    async def entries(self, pattern: str, most: int) -> Listing:
        try:
            listed = await obstore.list_with_delimiter_async(self._store, self._prefix or None)
        except (BaseError, OSError) as wrong:
            raise FeedTrouble(f"the bucket cannot be listed: {_first_line(wrong)}") from wrong
        found: list[Entry] = []
        for one in listed["objects"]:
            name = one["path"].removeprefix(self._prefix)
            if name.startswith(".") or not fnmatchcase(name, pattern):
                continue
            if len(found) == most:
                return Listing(found, more=True)
            modified_ms = round(one["last_modified"].timestamp() * 1_000)
            version = f"{one['size']}-{modified_ms}-{one['e_tag'] or ''}"
            found.append(Entry(name, one["size"], modified_ms, version))
        return Listing(found, more=False)

    async def open(self, entry: Entry) -> BinaryIO:
        kept = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        try:
            async with _of(entry):
                got = await obstore.get_async(self._store, self._prefix + entry.name)
                async for chunk in got.stream(min_chunk_size=_CHUNK_BYTES):
                    await asyncio.to_thread(kept.write, chunk)
        except BaseException:
            kept.close()
            raise
        kept.seek(0)
        return kept

    async def put_away(self, entry: Entry, folder: str, note: str) -> None:
        source, store = self._prefix + entry.name, self._store
        try:
            async with _of(entry):
                target = ""
                for name in names_for(entry):
                    target = f"{self._prefix}{folder}/{name}"
                    if not await self._is_there(target):
                        break
                await obstore.copy_async(store, source, target)
                await obstore.delete_async(store, source)
                if note:
                    await obstore.put_async(store, f"{target}.reason.txt", note.encode())
        except FileGone:
            return

    async def delete(self, entry: Entry) -> None:
        try:
            async with _of(entry):
                await obstore.delete_async(self._store, self._prefix + entry.name)
        except FileGone:
            return

    async def _is_there(self, path: str) -> bool:
        try:
            await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return False
        return True


@asynccontextmanager
async def _of(entry: Entry) -> AsyncIterator[None]:
    """What goes wrong is about this object."""
    try:
        yield
    except FileNotFoundError:
        raise FileGone(entry.name) from None
    except (BaseError, OSError) as wrong:
        raise FileTrouble(_first_line(wrong)) from wrong


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
