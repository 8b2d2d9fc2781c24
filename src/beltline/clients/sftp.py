"""SFTP: how a server is connected to, and how files are put there whole, fetched and listed.

    put: .NAME.KEY.part <── the content; then it is renamed to NAME, over what had this name

Who reads the folder meanwhile sees the old file or the new one, and no half of either. The server
has to prove that it has the key that is expected of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from posixpath import basename, dirname, join
from stat import S_ISREG
from typing import cast
from urllib.parse import urlsplit

import asyncssh
import msgspec

from beltline.clients.account import Misconfigured, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

CONNECT_S = 20
SILENT_S = 60
_CHUNK_BYTES = 262_144
_LOOKED_AT_MOST = 100_000  # of one folder: they stand in memory to be sorted
_PRIVATE_KEY = "-----BEGIN"
# The operator's or the author's to mend; whatever else a server answers may pass by itself.
_PERMANENT = (
    *(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied),
    *(asyncssh.SFTPFileIsADirectory, asyncssh.SFTPNotADirectory, asyncssh.SFTPOpUnsupported),
    *(asyncssh.SFTPInvalidFilename, asyncssh.SFTPWriteProtect),
)
_GONE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)


async def connect_ssh(connection: Connection, host_key: str) -> asyncssh.SSHClientConnection:
    """Connects and logs in, by a password or a private key. Raises `ClientFailed`."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await _connect(connection, host_key)
    except asyncssh.HostKeyNotVerifiable:
        raise Misconfigured(
            f"{connection.address} does not have the key that host_key says: it may be another"
            " server"
        ) from None
    except TimeoutError:
        raise ClientFailed(f"no answer from {connection.address}") from None
    except asyncssh.PermissionDenied as wrong:
        raise Misconfigured(f"{connection.address}: {words(wrong)}") from wrong
    except (asyncssh.Error, OSError) as wrong:
        raise ClientFailed(f"{connection.address}: {words(wrong)}") from wrong


async def _connect(connection: Connection, host_key: str) -> asyncssh.SSHClientConnection:
    parts = urlsplit(connection.address)
    user = str(connection.options.get("user") or "")
    if parts.scheme != "sftp" or not parts.hostname or not user:
        raise Misconfigured(
            f"the connection {connection.name!r} needs an address such as"
            " sftp://files.example.org, and a user"
        )
    secret = "" if connection.secret is None else connection.secret.reveal()
    is_key = secret.startswith(_PRIVATE_KEY)
    try:
        key = asyncssh.import_public_key(host_key)
        own = [asyncssh.import_private_key(secret)] if is_key else []
    except asyncssh.KeyImportError as wrong:
        raise Misconfigured(f"a key cannot be read: {wrong}") from wrong
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


async def close_ssh(connection: asyncssh.SSHClientConnection) -> None:
    """Hangs up."""
    connection.close()
    await connection.wait_closed()


class Fetched(msgspec.Struct, frozen=True):
    """A file's content, and when it was changed last (Unix seconds)."""

    content: bytes
    modified_s: int


class Listed(msgspec.Struct, frozen=True):
    """A file of a folder."""

    name: str
    bytes: int
    modified: str


class SftpLine:
    """A line to a server; any number of calls share it."""

    def __init__(self, opened: AsyncExitStack, client: asyncssh.SFTPClient) -> None:
        self._opened = opened
        self._client = client
        self._is_lost = False

    def is_open(self) -> bool:
        """Whether the line holds."""
        return not self._is_lost

    async def close(self) -> None:
        """Leaves."""
        await self._opened.aclose()

    async def put(self, path: str, content: bytes, key: str, *, make_folders: bool) -> None:
        """Puts a file, over what has this name. `key` tells what is half written by one visit from
        what is by another. Raises `ClientFailed`.
        """
        part = join(dirname(path), f".{basename(path)}.{key[:16]}.part")
        async with self._telling(path):
            if make_folders and dirname(path):
                await self._client.makedirs(dirname(path), exist_ok=True)
            async with self._client.open(part, "wb") as written:
                for begin in range(0, len(content), _CHUNK_BYTES):
                    await written.write(content[begin : begin + _CHUNK_BYTES])
            await self._client.posix_rename(part, path)

    async def get(self, path: str, most: int) -> Fetched | None:
        """A file of at most `most` bytes; None where there is none. Raises `ClientFailed`."""
        async with self._telling(path):
            try:
                async with self._client.open(path, "rb") as remote:
                    about = await remote.stat()
                    content = cast(bytes, await remote.read(most + 1))
            except _GONE:
                return None
        if len(content) > most:
            raise ClientFailed(f"{path} has more than {most} bytes", permanent=True)
        return Fetched(content, about.mtime or 0)

    async def list(self, folder: str, pattern: str, most: int) -> tuple[list[Listed], bool]:
        """Up to `most` files of a folder in the order of their names, and whether there are more.
        No folders, no links, nothing hidden. Raises `ClientFailed`.
        """
        found: list[Listed] = []
        async with self._telling(folder):
            async for one in self._client.scandir(folder):
                name, about = str(one.filename), one.attrs
                if name.startswith(".") or not fnmatchcase(name, pattern):
                    continue
                if about.permissions is None or not S_ISREG(about.permissions):
                    continue
                if len(found) == _LOOKED_AT_MOST:
                    raise ClientFailed(
                        f"{folder} has more than {_LOOKED_AT_MOST:,} files: name a narrower"
                        " `pattern`",
                        permanent=True,
                    )
                at = datetime.fromtimestamp(about.mtime or 0, UTC)
                found.append(Listed(name, about.size or 0, at.isoformat()))
        found.sort(key=lambda one: one.name)
        return found[:most], len(found) > most

    @asynccontextmanager
    async def _telling(self, path: str) -> AsyncIterator[None]:
        try:
            yield
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as lost:
            self._is_lost = True
            raise ClientFailed(f"the line broke: {words(lost)}") from lost
        except asyncssh.SFTPError as wrong:
            raise ClientFailed(
                f"{path}: {wrong.reason}", permanent=isinstance(wrong, _PERMANENT)
            ) from wrong
        except (asyncssh.Error, OSError) as lost:
            self._is_lost = True
            raise ClientFailed(f"the line broke: {words(lost)}") from lost


async def _open(connection: Connection) -> SftpLine:
    host_key = str(connection.options.get("host_key") or "")
    if not host_key:
        raise Misconfigured(
            f"the connection {connection.name!r} needs `host_key`, the key of the server:"
            " `ssh-keyscan HOST` shows it; have its owner confirm it"
        )
    async with AsyncExitStack() as opening:
        connected = await connect_ssh(connection, host_key)
        opening.push_async_callback(close_ssh, connected)
        try:
            client = await opening.enter_async_context(connected.start_sftp_client())
        except (asyncssh.Error, OSError) as wrong:
            raise ClientFailed(f"{connection.address} gives no files: {words(wrong)}") from wrong
        return SftpLine(opening.pop_all(), client)
    raise AssertionError  # the stack lets every error through


async def _check(connection: Connection, _http: Http) -> str:
    line = await _open(connection)
    try:
        listed, more = await line.list(".", "*", 1_000)
    finally:
        await line.close()
    count = f"more than {len(listed)}" if more else str(len(listed))
    return f"a server of files with the key that is expected; {count} in the account's folder"


FILES = Client(name="sftp", open=_open, close=SftpLine.close, is_open=SftpLine.is_open)
kind = ConnectionKind(name="sftp", check=_check)
