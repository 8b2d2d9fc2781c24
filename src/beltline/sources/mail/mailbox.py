"""One folder of a mailbox by IMAP: what is in it, and what is done with a mail of it.

All of it blocks, so it is called in threads; every answer of the server is waited for with a
timeout. Mails are named by their UIDs, which hold for one `validity` of the folder.

The library's own `delete`, `move` and `flag` expunge the whole folder, and with it what a person
marked to be deleted, so those commands are given here one by one.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from imaplib import IMAP4
from typing import Any

from imap_tools import AND, MailBox, MailBoxStartTls
from imap_tools.errors import ImapToolsError, UnexpectedCommandStatusError
from imap_tools.mailbox import BaseMailBox
from imap_tools.utils import encode_folder

from beltline.clients.account import Misconfigured, Server, server_of, words
from beltline.definition.mail import MailFilter
from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http
from beltline.sources.door import FeedTrouble

# IMAP without TLS is not spoken: `imap://` begins in the clear and goes over to TLS before the
# password is sent.
SCHEMES = {"imaps": (993, True), "imap": (143, False)}
TIMEOUT_S = 60.0
CLOSE_S = 3.0

_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_VALIDITY = re.compile(rb"\d+")
Trust = Callable[[], ssl.SSLContext]


class MailboxRefused(FeedTrouble):
    """The world: the server did not do what it was asked. The text has its answer."""


class Mailbox:
    """A folder that is open, from `open_mailbox` to `close`."""

    def __init__(self, box: BaseMailBox, folder: str) -> None:
        self._box: Any = box  # the library has types here and there
        self.folder = folder
        self._is_listening = False
        box.folder.set(folder)
        found = box.client.response("UIDVALIDITY")[1]
        self.validity = _first_number(found)

    @property
    def tells(self) -> bool:
        """Whether the server can tell of new mails (IDLE)."""
        return self._has("IDLE")

    def find(self, chosen: MailFilter) -> list[str]:
        """The UIDs of the mails that are chosen, the oldest first."""
        wanted: dict[str, Any] = {"deleted": False}
        if chosen.unseen:
            wanted["seen"] = False
        if chosen.sender is not None:
            wanted["from_"] = chosen.sender
        if chosen.subject is not None:
            wanted["subject"] = chosen.subject
        criteria = str(AND(**wanted))
        # Some servers know no charset but their own, so none is named without need.
        charset = None if criteria.isascii() else "UTF-8"
        return sorted(self._box.uids(criteria, charset), key=int)

    def size(self, uid: str) -> int | None:
        """How many bytes a mail has; None where it is gone."""
        for item in self._uid("FETCH", uid, "(RFC822.SIZE)"):
            found = _SIZE.search(item[0] if isinstance(item, tuple) else item or b"")
            if found is not None:
                return int(found[1])
        return None

    def fetch(self, uid: str) -> bytes | None:
        """A mail as it stands there, which leaves it unseen; None where it is gone."""
        for item in self._uid("FETCH", uid, "(BODY.PEEK[])"):
            if isinstance(item, tuple):
                raw: bytes = item[1]
                return raw
        return None

    def mark_seen(self, uid: str) -> None:
        """Marks a mail as seen."""
        self._uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)")

    def delete(self, uid: str) -> None:
        """Deletes a mail. A server without UIDPLUS can only expunge all that anybody marked, so
        there it stays marked until somebody does.
        """
        self._uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
        if self._has("UIDPLUS"):
            self._uid("EXPUNGE", uid)

    def move(self, uid: str, folder: str) -> None:
        """Moves a mail to a folder."""
        if self._has("MOVE"):
            self._uid("MOVE", uid, encode_folder(folder))
        else:
            self._uid("COPY", uid, encode_folder(folder))
            self.delete(uid)

    def ensure(self, folder: str) -> None:
        """Makes a folder where there is none."""
        try:
            if not self._box.folder.exists(folder):
                self._box.folder.create(folder)
        except UnexpectedCommandStatusError as error:
            raise MailboxRefused(f"the folder {folder} cannot be made: {error}") from error

    def begin_to_listen(self) -> int:
        """Has the server tell of news; gives the file number of the socket that can be read then.
        Nothing else may be asked before `end_to_listen`.
        """
        self._box.idle.start()
        self._is_listening = True
        number: int = self._box.client.socket().fileno()
        return number

    def end_to_listen(self) -> None:
        """Ends it, and reads what the server told."""
        self._is_listening = False
        self._box.idle.stop()

    def close(self) -> None:
        """Leaves. Nothing that was marked is expunged by it."""
        self._box.client.socket().settimeout(CLOSE_S)
        try:
            if self._is_listening:
                self.end_to_listen()
            self._box.logout()
        finally:
            self._box.client.shutdown()

    def _has(self, capability: str) -> bool:
        return capability in self._box.client.capabilities

    def _uid(self, command: str, *parts: Any) -> list[Any]:
        status, data = self._box.client.uid(command, *parts)
        if status != "OK":
            answer = b" ".join(part for part in data if isinstance(part, bytes))
            raise MailboxRefused(
                f"{command} was refused: {answer.decode('utf-8', 'replace')[:300] or status}"
            )
        return list(data)


def open_mailbox(server: Server, folder: str, trust: Trust = ssl.create_default_context) -> Mailbox:
    """Connects by TLS and opens a folder. Raises `Misconfigured`, and what the library and the
    network raise.
    """
    if not server.user:
        raise Misconfigured("the connection needs `user: NAME`, whose mailbox it is")
    way = MailBox if server.tls else MailBoxStartTls
    box = way(server.host, server.port, timeout=TIMEOUT_S, ssl_context=trust())
    try:
        if server.user.isascii() and server.secret.isascii():
            box.login(server.user, server.secret, initial_folder=None)
        else:
            box.login_utf8(server.user, server.secret, initial_folder=None)
        _learn_capabilities(box)
        return Mailbox(box, folder)
    except BaseException:
        box.client.shutdown()
        raise


async def _check(connection: Connection, _http: Http) -> str:
    server = server_of(connection, SCHEMES)
    try:
        return await asyncio.to_thread(_describe, server)
    except (FeedTrouble, ImapToolsError, IMAP4.error, OSError) as wrong:
        raise ClientFailed(words(wrong)) from wrong


def _describe(server: Server) -> str:
    box = open_mailbox(server, "INBOX")
    try:
        count = len(box.find(MailFilter(unseen=False)))
        return f"a mailbox that has {count} mails in INBOX"
    finally:
        with suppress(OSError):  # the server has hung up first
            box.close()


kind = ConnectionKind(name="imap", check=_check)


def _learn_capabilities(box: BaseMailBox) -> None:
    """Servers tell only some of what they can before the login."""
    status, data = box.client.capability()
    if status != "OK":
        raise MailboxRefused("the server does not tell what it can do")
    box.client.capabilities = tuple(data[-1].decode("ascii", "replace").upper().split())


def _first_number(found: list[Any]) -> str:
    match = _VALIDITY.search(found[0] or b"") if found else None
    return "0" if match is None else match[0].decode()
