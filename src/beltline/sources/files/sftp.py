"""Files of a folder behind SFTP. The server has to prove that it has the key that is expected."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from stat import S_ISREG
from types import TracebackType
from typing import BinaryIO, Self, cast

import asyncssh

from beltline.clients.sftp import close_ssh, connect_ssh
from beltline.definition.files import Sftp
from beltline.sdk import ClientFailed, Connection
from beltline.sources.door import FeedTrouble
from beltline.sources.files.place import Entry, FileGone, FileTrouble, Listing, names_for

_CHUNK_BYTES = 262_144


class SftpFolder:
    """A `Place` that is a folder behind SFTP, for as long as its connection lasts."""

    def __init__(self, where: Sftp, connection: Connection) -> None:
        self._folder = where.folder.rstrip("/") or "/"
        self._host_key = where.host_key
        self._connection = connection
        self._opened = AsyncExitStack()
        self._client: asyncssh.SFTPClient

    async def __aenter__(self) -> Self:
        try:
            connected = await connect_ssh(self._connection, self._host_key)
            self._opened.push_async_callback(close_ssh, connected)
            self._client = await self._opened.enter_async_context(connected.start_sftp_client())
        except ClientFailed as failed:
            raise FeedTrouble(str(failed)) from failed
        except (asyncssh.Error, OSError) as wrong:
            raise FeedTrouble(f"{self._connection.address}: {wrong}") from wrong
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    async def entries(self, pattern: str, most: int) -> Listing:
        found: list[Entry] = []
        try:
            async for one in self._client.scandir(self._folder):
                name = str(one.filename)
                if name.startswith(".") or not fnmatchcase(name, pattern):
                    continue
                about = one.attrs
                if about.permissions is None or not S_ISREG(about.permissions):
                    continue
                if len(found) == most:
                    return Listing(found, more=True)
                size, seconds = about.size or 0, about.mtime or 0
                found.append(Entry(name, size, seconds * 1_000, f"{size}-{seconds}"))
        except asyncssh.SFTPError as wrong:
            raise FeedTrouble(f"the folder {self._folder}: {wrong.reason}") from wrong
        return Listing(found, more=False)

    async def open(self, entry: Entry) -> BinaryIO:
        kept = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        try:
            async with _of(entry), self._client.open(self._path(entry.name), "rb") as remote:
                left = entry.size
                while left and (chunk := await remote.read(min(left, _CHUNK_BYTES))):
                    left -= len(chunk)
                    await asyncio.to_thread(kept.write, cast(bytes, chunk))
        except BaseException:
            kept.close()
            raise
        kept.seek(0)
        return kept

    async def put_away(self, entry: Entry, folder: str, note: str) -> None:
        target = self._path(folder)
        try:
            async with _of(entry):
                await self._client.makedirs(target, exist_ok=True)
                name = entry.name
                for name in names_for(entry):
                    if not await self._client.exists(f"{target}/{name}"):
                        break
                # A server refuses to rename a file onto another one, so that nothing is lost where
                # somebody was quicker.
                await self._client.rename(self._path(entry.name), f"{target}/{name}")
                if note:
                    async with self._client.open(f"{target}/{name}.reason.txt", "w") as written:
                        await written.write(note)
        except FileGone:
            return

    async def delete(self, entry: Entry) -> None:
        try:
            async with _of(entry):
                await self._client.remove(self._path(entry.name))
        except FileGone:
            return

    def _path(self, name: str) -> str:
        return f"{self._folder.rstrip('/')}/{name}"


@asynccontextmanager
async def _of(entry: Entry) -> AsyncIterator[None]:
    """What goes wrong is about this file."""
    try:
        yield
    except asyncssh.SFTPNoSuchFile:
        raise FileGone(entry.name) from None
    except asyncssh.SFTPError as wrong:
        raise FileTrouble(wrong.reason) from wrong
