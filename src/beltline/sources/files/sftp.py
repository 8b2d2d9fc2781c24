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
from urllib.parse import urlsplit

import asyncssh

from beltline.definition.files import Sftp
from beltline.sdk import Connection
from beltline.sources.door import FeedTrouble
from beltline.sources.files.place import Entry, FileGone, FileTrouble, Listing, names_for

CONNECT_S = 20
SILENT_S = 60
_CHUNK_BYTES = 262_144
_PRIVATE_KEY = "-----BEGIN"


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
            async with asyncio.timeout(CONNECT_S):
                connected = await self._connect()
                self._opened.push_async_callback(_closed, connected)
                self._client = await self._opened.enter_async_context(connected.start_sftp_client())
        except asyncssh.HostKeyNotVerifiable:
            raise FeedTrouble(
                f"{self._connection.address} does not have the key that the source's host_key"
                " says: it may be another server"
            ) from None
        except TimeoutError:
            raise FeedTrouble(f"no answer from {self._connection.address}") from None
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

    async def _connect(self) -> asyncssh.SSHClientConnection:
        parts = urlsplit(self._connection.address)
        user = str(self._connection.options.get("user") or "")
        if parts.scheme != "sftp" or not parts.hostname or not user:
            raise FeedTrouble(
                f"the connection {self._connection.name!r} needs an address such as"
                " sftp://files.example.org, and a user"
            )
        secret = "" if self._connection.secret is None else self._connection.secret.reveal()
        is_key = secret.startswith(_PRIVATE_KEY)
        try:
            key = asyncssh.import_public_key(self._host_key)
            own = [asyncssh.import_private_key(secret)] if is_key else []
        except asyncssh.KeyImportError as wrong:
            raise FeedTrouble(f"a key cannot be read: {wrong}") from wrong
        return await asyncssh.connect(
            parts.hostname,
            parts.port or 22,
            username=user,
            password=None if is_key else secret,
            client_keys=own,
            known_hosts=([key], [], []),
            # Nothing of the account that the hub runs under: no agent, no files, no settings.
            config=None,
            agent_path=None,
            agent_forwarding=False,
            gss_auth=False,
            preferred_auth="publickey" if is_key else "password,keyboard-interactive",
            keepalive_interval=SILENT_S,
        )

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


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()


@asynccontextmanager
async def _of(entry: Entry) -> AsyncIterator[None]:
    """What goes wrong is about this file."""
    try:
        yield
    except asyncssh.SFTPNoSuchFile:
        raise FileGone(entry.name) from None
    except asyncssh.SFTPError as wrong:
        raise FileTrouble(wrong.reason) from wrong
